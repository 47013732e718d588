package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"facteur/actions"
	"facteur/e2e/bench/child"
)

// viaAPI starts runs through the API of a daemon, which is another process and stores each run
// before it answers. With wait it answers when the run has ended; without, a load lasts until
// all of its runs have ended.
func viaAPI(s child.Setup, wait bool) (*child.Subject, error) {
	d := &apiClient{&http.Client{Transport: actions.Transport()}, s.Daemon}
	out := &child.Subject{Do: func(n int) error { return d.start(s.Inputs(n), wait) }}
	if !wait {
		out.BeforeLoad = d.settle
	}
	return out, nil
}

// settle returns a function that waits until so many more runs have ended.
func (d *apiClient) settle() (func(runs int) error, error) {
	before, err := d.ended()
	return func(runs int) error {
		for {
			n, err := d.ended()
			if err != nil || n-before >= runs {
				return err
			}
			time.Sleep(2 * time.Millisecond)
		}
	}, err
}

type apiClient struct {
	client  *http.Client
	address string
}

func (d *apiClient) start(inputs map[string]any, wait bool) error {
	body, err := json.Marshal(map[string]any{"inputs": inputs})
	if err != nil {
		return err
	}
	path := "/v1/flows/" + child.FlowName + "/runs"
	if wait {
		path += "?wait=60s"
	}
	resp, err := d.client.Post(d.address+path, "application/json", strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var started struct{ Status string }
	if err := json.NewDecoder(resp.Body).Decode(&started); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated || wait && started.Status != "succeeded" {
		return fmt.Errorf("the daemon answered with %d, and the run is %q", resp.StatusCode, started.Status)
	}
	return nil
}

// ended returns how many runs have succeeded since the daemon was started.
func (d *apiClient) ended() (n int, err error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, d.address+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := d.client.Do(req)
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
