package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"

	"facteur/flow/diag"
	"facteur/project"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// An app is one invocation of the command.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	// notifyInterrupts sends interrupts to a channel until forget is called. nil: there are none.
	notifyInterrupts func(chan<- os.Signal) (forget func())
	// notifyHangups sends hang-ups to a channel until forget is called. nil: there are none.
	notifyHangups func(chan<- os.Signal) (forget func())
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	return a.report(root.ExecuteContext(ctx))
}

// root is the command line, with all of its commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "facteur",
		Short: "Run flows written in YAML that send WhatsApp messages",
		Long: `Facteur runs flows written in YAML that send WhatsApp messages.

Exit codes: 0 success; 1 the run or a test failed; 2 the flow, the message or the command
line is wrong; 3 the environment is at fault (vault, disk, network, credentials, no source
of the events that a flow needs).`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	return group(root,
		a.runCommand(), a.validateCommand(), a.testCommand(), a.initCommand(), a.vaultCommand(),
		a.schemaCommand(), a.actionsCommand(), a.explainCommand(), a.versionCommand(), a.templatesCommand(), a.webhookCommand(),
		a.messageCommand(), a.importCommand(), a.serveCommand(), a.runsCommand(), a.pauseCommand(), a.resumeCommand(),
		a.holdsCommand(), a.reloadCommand(), a.keysCommand(), a.backupCommand(), a.healthCommand(), a.simulateCommand(), a.devCommand(),
	)
}

// report prints an error, and returns the exit code.
func (a *app) report(err error) int {
	if err == nil {
		return 0
	}
	e := exitOf(err)
	if e.err != nil {
		text, hint := project.Explain(e.err)
		a.printLine("31", "error:", "%s", text)
		if hint != "" {
			fmt.Fprintf(a.stderr, "  %s %s\n", a.paint("36", "hint:"), hint)
		}
	}
	return e.code
}

// colored reports whether a stream is a terminal that shows colour.
func colored(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// paint colours a text for standard error.
func (a *app) paint(code, text string) string { return diag.Paint(colored(a.stderr), code, text) }

func (a *app) warn(format string, args ...any) { a.printLine("33", "warning:", format, args...) }

func (a *app) note(format string, args ...any) { a.printLine("36", "note:", format, args...) }

// printLine prints a labelled line to standard error.
func (a *app) printLine(color, what, format string, args ...any) {
	fmt.Fprintf(a.stderr, "%s %s\n", a.paint(color, what), fmt.Sprintf(format, args...))
}

// diagnose prints diagnostics, and returns an error when one of them is an error.
func (a *app) diagnose(list diag.List) error {
	if err := (diag.Printer{W: a.stderr, Color: colored(a.stderr)}).Print(list); err != nil {
		return err
	}
	if list.HasErrors() {
		return &exitError{code: exitUser}
	}
	return nil
}

// open opens the project that a path belongs to, and prints the mistakes in its file. The flows
// are not read.
func (a *app) open(path string) (*project.Project, error) {
	p, found, err := project.Open(path)
	if err != nil {
		return nil, err
	}
	return p, a.diagnose(found)
}

func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table aligns rows of tab-separated cells on standard output.
func (a *app) table() *tabwriter.Writer { return tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0) }

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
