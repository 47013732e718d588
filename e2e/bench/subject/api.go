package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"facteur/actions"
	"facteur/e2e/bench/child"
	"facteur/server"
)

// viaAPI starts runs through the API of a daemon, which is another process and stores each run
// before it answers. With wait it answers when the run has ended; without, a load lasts until
// all of its runs have ended.
func viaAPI(s child.Setup, wait bool) (*child.Subject, error) {
	d := &server.Client{URL: s.Daemon, HTTP: &http.Client{Transport: actions.Transport()}}
	var o server.StartOption
	if wait {
		o.Wait = time.Minute
	}
	out := &child.Subject{Do: func(n int) error {
		started, err := d.Start(context.Background(), child.FlowName, server.StartRequest{Inputs: s.Inputs(n)}, o)
		if err == nil && wait && started.Status != "succeeded" {
			err = fmt.Errorf("the run is %q", started.Status)
		}
		return err
	}}
	if !wait {
		out.BeforeLoad = func() (settle func(runs int) error, err error) {
			before, err := ended(d)
			return func(runs int) error {
				for {
					n, err := ended(d)
					if err != nil || n-before >= runs {
						return err
					}
					time.Sleep(2 * time.Millisecond)
				}
			}, err
		}
	}
	return out, nil
}

// ended returns how many runs have succeeded since the daemon was started.
func ended(d *server.Client) (n int, err error) {
	resp, err := d.HTTP.Get(d.URL + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), `facteur_runs_ended_total{flow="`+child.FlowName+`",status="succeeded"} `); ok {
			f, err := strconv.ParseFloat(value, 64)
			n = int(f)
			if err != nil {
				return 0, err
			}
		}
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return n, err
}
