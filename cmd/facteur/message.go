package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"unicode/utf8"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/onpremises"
	"facteur/flow/schema"
	"facteur/project"

	"github.com/spf13/cobra"
)

func (a *app) messageCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "message",
		Short: "Check and migrate the request bodies that send messages",
	}, a.messageCheck(), a.messageMigrate())
}

func (a *app) messageCheck() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check FILE…|-",
		Short: "Report what Meta would refuse in request bodies",
		Long: `Report what Meta would refuse in bodies of requests to /{phone_number_id}/messages.

A file, or "-" for standard input, holds one JSON object, or one per line (JSON Lines). Each
finding is a line "file: path: error: text [rule]", or "warning" if Meta may accept it;
"facteur explain RULE" explains the rule. The path "." is the whole body. "facteur explain
seen-elsewhere" lists what cannot be checked from a body. The exit code is 2 if there is an
error.`,
		Example: "  facteur message check body.json\n  facteur message check --json - < bodies.jsonl",
		Args:    atLeastOne("FILE"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.checkMessages(args, asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return c
}

func (a *app) messageMigrate() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate FILE|-",
		Short: "Convert a request body from the On-Premises API to the Cloud API",
		Long: `Convert a request body from the On-Premises API (/v1/messages) to the Cloud API.

The new body is printed to standard output. Standard error lists each change, each thing
that you must still do ("to do"), and what Meta would still refuse.`,
		Example: "  facteur message migrate old.json > new.json",
		Args:    exactly("FILE"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.migrateMessage(args[0]) },
	}
}

func (a *app) migrateMessage(file string) error {
	text, err := a.readFile(file)
	if err != nil {
		return err
	}
	v, err := decodeBody(text)
	body, ok := v.(map[string]any)
	switch {
	case err != nil:
		return project.UserError("give the JSON that you would send to /v1/messages", "%s: %w", file, err)
	case !ok:
		return project.UserError("give one JSON object", "%s: the body of a request is an object", file)
	}
	cloud, changes := onpremises.Migrate(body)
	out, err := formatBody(cloud)
	if err != nil {
		return err
	}
	if _, err := a.stdout.Write(out); err != nil {
		return err
	}
	for _, c := range changes {
		what := "changed"
		if c.Todo {
			what = "to do"
		}
		fmt.Fprintf(a.stderr, "%s: %s: %s: %s\n", file, what, c.Path, c.Text)
	}
	found := findings(file, 0, whatsapp.CheckBody(cloud))
	for _, f := range found {
		fmt.Fprintln(a.stderr, f)
	}
	return refused(found)
}

// formatBody writes a body for people: who gets it first, then the message.
func formatBody(body map[string]any) ([]byte, error) {
	order := whatsapp.BodyType().Names()
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(body)), func(name string) bool { return slices.Contains(order, name) })
	var members [][]byte
	for _, name := range append(order, rest...) {
		if v, ok := body[name]; ok {
			member, err := schema.AppendJSON(append(schema.AppendText(nil, name), ':'), v)
			if err != nil {
				return nil, err
			}
			members = append(members, member)
		}
	}
	var out bytes.Buffer
	err := json.Indent(&out, slices.Concat([]byte("{"), bytes.Join(members, []byte(",")), []byte("}\n")), "", "  ")
	return out.Bytes(), err
}

// A bodyFinding is what is wrong with one body.
type bodyFinding struct {
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"` // where the file holds several
	Path     string `json:"path"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
	Rule     string `json:"rule"`
}

func (f bodyFinding) String() string {
	file, text := f.File, f.Message
	if f.Line > 0 {
		file = fmt.Sprintf("%s:%d", file, f.Line)
	}
	if f.Hint != "" {
		text += "; " + f.Hint
	}
	return fmt.Sprintf("%s: %s: %s: %s [%s]", file, f.Path, f.Severity, text, f.Rule)
}

func (a *app) checkMessages(files []string, asJSON bool) error {
	found := []bodyFinding{}
	bodies := 0
	for _, file := range files {
		text, err := a.readFile(file)
		if err != nil {
			return err
		}
		n, list := checkBodies(file, text)
		bodies += n
		found = append(found, list...)
	}
	if asJSON {
		if err := a.printJSON(map[string]any{"bodies": bodies, "findings": found}); err != nil {
			return err
		}
	} else {
		w := bufio.NewWriter(a.stdout)
		for _, f := range found {
			fmt.Fprintln(w, f)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return refused(found)
}

// refused ends a command that found errors.
func refused(found []bodyFinding) error {
	if slices.ContainsFunc(found, func(f bodyFinding) bool { return f.Severity == "error" }) {
		return &exitError{code: exitUser}
	}
	return nil
}

// A body is one of those that a file holds.
type body struct {
	line int // 0: the file holds it alone
	text []byte
}

// bodiesOf takes JSON Lines apart. What is one JSON value, or none, stays whole.
func bodiesOf(text []byte) []body {
	first, rest, _ := bytes.Cut(bytes.TrimSpace(text), []byte("\n"))
	if len(rest) == 0 || !json.Valid(first) {
		return []body{{0, text}}
	}
	var bodies []body
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if line = bytes.TrimSpace(line); len(line) > 0 {
			bodies = append(bodies, body{n, line})
		}
	}
	return bodies
}

// checkBodies checks the bodies of one file.
func checkBodies(file string, text []byte) (bodies int, found []bodyFinding) {
	all := bodiesOf(text)
	results := make([][]bodyFinding, len(all))
	workers := min(runtime.GOMAXPROCS(0), len(all))
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < len(all); i += workers {
				results[i] = checkText(file, all[i].line, all[i].text)
			}
		})
	}
	group.Wait()
	return len(all), slices.Concat(results...)
}

// checkText checks one body.
func checkText(file string, line int, text []byte) []bodyFinding {
	body, err := decodeBody(text)
	found := whatsapp.CheckBody(body)
	if err != nil {
		found = schema.Violations{{Rule: "json", Message: err.Error()}}
	}
	return findings(file, line, found)
}

func findings(file string, line int, found schema.Violations) []bodyFinding {
	out := make([]bodyFinding, 0, len(found))
	for _, v := range found {
		f := bodyFinding{File: file, Line: line, Path: v.Path.String(), Severity: "error", Message: v.Message, Hint: v.Hint, Rule: v.Rule}
		if f.Path == "" {
			f.Path = "."
		}
		if v.Warning {
			f.Severity = "warning"
		}
		out = append(out, f)
	}
	return out
}

// decodeBody reads a JSON value, and says where it is none.
func decodeBody(text []byte) (any, error) {
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return nil, errors.New("it is empty")
	case !utf8.Valid(text):
		return nil, errors.New("it is not valid UTF-8")
	}
	v, err := actions.DecodeJSON(text)
	if err != nil {
		return nil, fmt.Errorf("it is not JSON: %w", err)
	}
	return v, nil
}
