package actions

import (
	"context"

	"facteur/vault"
)

// Told returns the connections, and tells of every secret that they give. It is for
// who must take secrets out of what is written down; what is told must go nowhere else.
func Told(c Connections, tell func(secret string)) Connections { return told{c, tell} }

type told struct {
	Connections
	tell func(secret string)
}

func (t told) Resolve(ctx context.Context, name string) (vault.Connection, error) {
	c, err := t.Connections.Resolve(ctx, name)
	t.all(c)
	return c, err
}

func (t told) Refresh(ctx context.Context, name string) (vault.Connection, bool, error) {
	c, changed, err := t.Connections.Refresh(ctx, name)
	t.all(c)
	return c, changed, err
}

func (t told) all(c vault.Connection) {
	for _, s := range c.Secrets {
		if !s.IsZero() {
			t.tell(s.Reveal())
		}
	}
}
