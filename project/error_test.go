package project_test

import (
	"errors"
	"fmt"
	"testing"

	"facteur/project"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
)

// What is wrong, and how to mend it: the outermost hint counts, and one that is empty hides
// none.
func TestExplain(t *testing.T) {
	broken := &vault.BackendError{Backend: "file", Op: "read", Reason: vault.Corrupt, Hint: "restore it"}
	unknown := &vault.UnknownConnectionError{Name: "shop"}
	for _, c := range []struct {
		err        error
		text, hint string
	}{
		{errors.New("the disk is full"), "the disk is full", ""},
		{project.UserError("write 30d", "%q is no time", "30"), `"30" is no time`, "write 30d"},
		{fmt.Errorf("serve: %w", project.UserError("write 30d", "no time")), "serve: no time", "write 30d"},
		{project.SystemError(project.UserError("inside", "x"), "outside"), "x", "outside"},
		{project.SystemError(project.UserError("inside", "x"), ""), "x", "inside"},
		{broken, broken.Summary(), "restore it"},
		{project.SystemError(broken, ""), broken.Summary(), "restore it"},
		{project.SystemError(broken, "ask"), broken.Summary(), "ask"},
		{unknown, unknown.Error(), "add it with: facteur vault set shop"},
	} {
		text, hint := project.Explain(c.err)
		assert.Equal(t, c.text, text)
		assert.Equal(t, c.hint, hint, c.err)
	}
}
