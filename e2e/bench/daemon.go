package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"facteur/e2e/bench/child"
)

// A daemon is `facteur serve`, as users start it, with a fresh data folder.
type daemon struct {
	*exec.Cmd
	url     string
	startup time.Duration // until it said that it is ready
}

func (d *daemon) PID() int { return d.Process.Pid }

func startDaemon(dir, api string) (*daemon, error) {
	project := filepath.Join(dir, "project")
	files := map[string]string{
		child.FlowName + ".flow.yaml": child.Flow,
		"facteur.yaml":                fmt.Sprintf("connections: {%s: {app: WHATSAPP, base_url: %q}}\n", child.Connection, api),
	}
	if err := os.Mkdir(project, 0o700); err != nil {
		return nil, err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(project, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	log, err := os.Create(filepath.Join(dir, "daemon.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	d := &daemon{Cmd: exec.Command(filepath.Join(dir, "facteur"), "serve", project, "--listen", "127.0.0.1:0", "--insecure-webhooks", "--log-format", "json")}
	d.Stdout, d.Stderr = log, log
	d.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "FACTEUR_CONNECTION_BENCH_TOKEN=" + child.Token}
	began := time.Now()
	if err := d.Start(); err != nil {
		return nil, err
	}
	for {
		if d.url == "" {
			d.url = readURL(filepath.Join(project, "data", "daemon.json"))
		}
		if d.url != "" {
			if resp, err := http.Get(d.url + "/readyz"); err == nil {
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					d.startup = time.Since(began)
					return d, nil
				}
			}
		}
		if time.Since(began) > 30*time.Second {
			d.stop()
			said, err := os.ReadFile(log.Name())
			return nil, errors.Join(fmt.Errorf("the daemon does not start:\n%s", said), err)
		}
		time.Sleep(time.Millisecond)
	}
}

// readURL reads the daemon's address from its daemon.json; "" while there is none.
func readURL(doorplate string) string {
	var plate struct{ URL string }
	text, err := os.ReadFile(doorplate)
	if err != nil || json.Unmarshal(text, &plate) != nil {
		return ""
	}
	return plate.URL
}

func (d *daemon) stop() {
	_ = d.Process.Signal(syscall.SIGTERM)
	over := time.AfterFunc(time.Minute, func() { _ = d.Process.Kill() })
	defer over.Stop()
	_ = d.Wait()
}
