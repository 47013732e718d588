package actions

import (
	"context"

	"facteur/vault"
)

// ReportSecrets wraps connections, and reports every secret that they return. It is for scrubbing
// secrets from what is written, such as recordings; they must not be used for anything else.
func ReportSecrets(c Connections, tell func(secret string)) Connections {
	return secretReporter{c, tell}
}

type secretReporter struct {
	Connections
	report func(secret string)
}

func (t secretReporter) Resolve(ctx context.Context, name string) (vault.Connection, error) {
	c, err := t.Connections.Resolve(ctx, name)
	t.reportAll(c)
	return c, err
}

func (t secretReporter) Refresh(ctx context.Context, name string) (vault.Connection, bool, error) {
	c, changed, err := t.Connections.Refresh(ctx, name)
	t.reportAll(c)
	return c, changed, err
}

func (t secretReporter) reportAll(c vault.Connection) {
	for _, s := range c.Secrets {
		if !s.IsZero() {
			t.report(s.Reveal())
		}
	}
}
