package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/project"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What Meta tells of a number that a flow names is for us, however the flow writes it, and for as
// long as runs of the flow as it was may go on.
func TestNumbersThatFlowsName(t *testing.T) {
	for _, written := range []string{`sender_phone_id: "77"`, `sender_phone_id: 77`, `"sender_phone_id": "77"`, `sender_phone_id : '77'`} {
		o, _, _ := options(t)
		o.Embedded = true
		path := filepath.Join(o.Project.Root, "hello.flow.yaml")
		require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(sendsHello, "with: {", "with: {"+written+", ")), 0o600))
		var err error
		o.Project, _, err = project.Open(o.Project.Root)
		require.NoError(t, err)
		o.Flows, _, err = project.LoadFlows(o.Project)
		require.NoError(t, err)
		d, _ := opened(t, o)
		assert.True(t, d.knowsNumber("shop", "77"), written)
		assert.False(t, d.knowsNumber("shop", "78"))
		require.NoError(t, os.WriteFile(path, []byte(sendsHello), 0o600))
		_, err = d.flows.Reload(t.Context())
		require.NoError(t, err)
		assert.True(t, d.knowsNumber("shop", "77"))
		assert.True(t, d.knowsNumber("shop", "106540352242922"))
		assert.False(t, d.knowsNumber("shop", "78"))
	}
}
