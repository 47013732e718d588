package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"facteur/privatefile"
	"facteur/project"
	"facteur/server"
)

// A Doorplate is where the daemon of a data folder is found, for commands on the same
// machine.
type Doorplate struct {
	PID    int    `json:"pid"`
	URL    string `json:"url"`
	Socket string `json:"socket"` // the path of a Unix socket
}

// doorplateName is the name of the doorplate in the data folder.
const doorplateName = "daemon.json"

// Find returns the doorplate of the daemon that works on a data folder, if one answers.
func Find(dir string) (plate Doorplate, ok bool) {
	text, err := os.ReadFile(filepath.Join(dir, doorplateName))
	if err != nil || json.Unmarshal(text, &plate) != nil || plate.Socket == "" {
		return plate, false
	}
	conn, err := net.Dial("unix", plate.Socket)
	if err != nil {
		return plate, false
	}
	return plate, conn.Close() == nil
}

// Client speaks to the daemon by its socket, and needs no key: who may open that may read all
// that there is.
func (d Doorplate) Client() *server.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.Socket)
	}
	return &server.Client{URL: "http://localhost", HTTP: &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// put replaces the doorplate as a whole: others read it at any time.
func (d Doorplate) put(path string) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := privatefile.Replace(path, append(text, '\n')); err != nil {
		return project.Surroundings(fmt.Errorf("the data folder: %w", err), "")
	}
	return nil
}
