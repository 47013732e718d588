package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"facteur/cmd/facteur/export"
	"facteur/cmd/facteur/testbed"
	"facteur/flow/host"
	"facteur/flow/suite"
	"facteur/project"

	"github.com/spf13/cobra"
)

func (a *app) runsExport(remote *remoteFlags) *cobra.Command {
	var out string
	var keep bool
	c := &cobra.Command{
		Use:   "export RUN",
		Short: "Turn a run into a flow test that gives the same result offline",
		Long: `Turn a run into a flow test: its inputs, the requests and answers, the events and the result.
The run is replayed from its journal with a virtual clock, and the test is run before it is
written: differences from the original run are reported.

Phone numbers, names, e-mail addresses and message ids are consistently replaced by made-up
ones, and sensitive values by others of the same form; a journal contains no secrets. The
text that people wrote is kept, because flows depend on it: read it before you commit it.
With --keep-personal-data only sensitive values are replaced.

The journal is read from the data folder; the daemon is asked only if --server is given. The
test uses the project's current version of the flow.`,
		Example: "  facteur runs export lv7k… -o flows/lost_parcel.test.yaml\n  facteur test flows",
		Args:    exactly("RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.exportRun(c.Context(), *remote, args[0], out, keep)
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "write to this new `file`, whose name ends in .test.yaml (default: standard output)")
	c.Flags().BoolVar(&keep, "keep-personal-data", false, "keep phone numbers, names and other personal data")
	return c
}

func (a *app) exportRun(ctx context.Context, remote remoteFlags, run, out string, keep bool) error {
	if remote.address() != "" {
		return project.UserError("GET /v1/runs/"+run+"/export returns it, with a key of the scope admin", "a run is exported where its data folder is")
	}
	if out != "" && !strings.HasSuffix(out, project.TestSuffix) {
		return project.UserError("name it "+strings.TrimSuffix(out, filepath.Ext(out))+project.TestSuffix, "%s does not end in %s, so it would not be recognised as a flow test", out, project.TestSuffix)
	}
	p, err := a.open(".")
	if err != nil {
		return err
	}
	f, err := a.openFolder(ctx, p)
	if err != nil {
		return err
	}
	defer f.close()
	if run, err = findRun(ctx, f, run); err != nil {
		return err
	}
	r, err := f.report(ctx, run)
	if err != nil {
		return err
	}
	test, err := exportOf(ctx, p, r, keep)
	if err != nil {
		return err
	}
	for _, note := range test.Notes {
		a.note("%s", note)
	}
	if err := a.writeExport(out, test.Text); err != nil {
		return err
	}
	reports := test.Check(ctx)
	if reports.Passed() {
		return nil
	}
	_ = reports.Text(a.stderr, suite.TextOptions{Color: colored(a.stderr)})
	hint := "fix it by hand"
	if len(r.Result.Sensitive) > 0 {
		hint = "sensitive values are replaced: if the flow branches on one, put in a value that takes the same branch"
	}
	return failed(errors.New("offline, the run ends with a different result; the test says what differs"), hint)
}

// exportOf makes a flow test of a run by the flow that the project has now.
func exportOf(ctx context.Context, loaded *project.Project, r *host.Report, keep bool) (*export.Test, error) {
	p, err := testbed.Of(loaded)
	if err != nil {
		return nil, err
	}
	names, err := p.Index()
	if err != nil {
		return nil, err
	}
	f := names[r.Run.Flow]
	if f == nil || f.Flow == nil || f.Diags.HasErrors() {
		return nil, project.UserError("a test needs the flow", "the project has no flow %s, or the flow does not validate", r.Run.Flow)
	}
	compiled, found := p.Compiler.Compile(f.Flow)
	if compiled == nil {
		return nil, project.UserError("see facteur validate", "the flow %s has mistakes: %w", r.Run.Flow, found.Err())
	}
	test, err := export.Of(ctx, export.Project{Library: p.Library, Do: p.Do, Connections: p.Undeclared}, f.Flow, compiled, r, keep)
	if refused, ok := errors.AsType[*export.RefusedError](err); ok {
		return nil, project.UserError(refused.Hint, "%w", refused)
	}
	return test, err
}

func (a *app) writeExport(out string, text []byte) error {
	if out == "" {
		_, err := a.stdout.Write(text)
		return err
	}
	file, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return project.UserError("choose another name", "the test: %w", err)
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return project.SystemError(fmt.Errorf("the test: %w", err), "")
	}
	fmt.Fprintf(a.stderr, "%s was written; read it before you commit it\n", out)
	return nil
}

// exportFor writes a run as a flow test for the API: that the run, or its flow, cannot be exported
// is a *host.StateError.
func exportFor(ctx context.Context, root string, r *host.Report) ([]byte, error) {
	p, found, err := project.Load(root)
	if err = cmp.Or(err, found.Err()); err != nil {
		return nil, err
	}
	test, err := exportOf(ctx, p, r, false)
	if e, ok := errors.AsType[*project.Error](err); ok && !e.System {
		return nil, &host.StateError{Run: r.Run.ID, Reason: e.Error(), Hint: e.Hint}
	}
	if err != nil {
		return nil, err
	}
	return test.Text, nil
}
