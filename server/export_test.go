package server

import (
	"context"

	"facteur/flow/host"
)

// Routes are the methods and paths that an API with everything serves.
func Routes() (out [][3]string) {
	a := &api{Options: Options{Export: func(context.Context, *host.Report) ([]byte, error) { return nil, nil }, Metrics: &Metrics{}}}
	for _, r := range a.routes() {
		out = append(out, [3]string{r.method, r.path, string(r.scope)})
	}
	return out
}
