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

// An Endpoint is where the daemon of a data folder listens, for commands on the same machine.
type Endpoint struct {
	PID    int    `json:"pid"`
	URL    string `json:"url"`
	Socket string `json:"socket"` // the path of a Unix socket
}

// endpointFile is the name of the file of the endpoint in the data folder.
const endpointFile = "daemon.json"

// Find returns the endpoint of the daemon of a data folder, if one answers there.
func Find(dir string) (e Endpoint, ok bool) {
	text, err := os.ReadFile(filepath.Join(dir, endpointFile))
	if err != nil || json.Unmarshal(text, &e) != nil || e.Socket == "" {
		return e, false
	}
	conn, err := net.Dial("unix", e.Socket)
	if err != nil {
		return e, false
	}
	return e, conn.Close() == nil
}

// Client returns a client over the daemon's socket, which needs no key: whoever may open the
// socket may read the whole data folder.
func (d Endpoint) Client() *server.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.Socket)
	}
	return &server.Client{URL: "http://localhost", HTTP: &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// write replaces the file atomically: it may be read at any time.
func (d Endpoint) write(path string) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := privatefile.Replace(path, append(text, '\n')); err != nil {
		return project.SystemError(fmt.Errorf("the data folder: %w", err), "")
	}
	return nil
}
