package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/schema"
	"facteur/project"

	"github.com/spf13/cobra"
)

func (a *app) actionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "actions [NAME [KIND…]]",
		Short: "Print the reference of actions and events",
		Example: `  facteur actions whatsapp.message
  facteur actions whatsapp.send_message template              # one message type only
  facteur actions whatsapp.send_message interactive button`,
		RunE: func(_ *cobra.Command, args []string) error {
			catalog, err := project.Descriptions()
			if err != nil {
				return err
			}
			names, events := catalog.Names()
			if len(args) == 0 {
				w := a.table()
				fmt.Fprintln(w, "actions:")
				for _, name := range names {
					fmt.Fprintf(w, "  %s\t%s\n", name, firstSentence(catalog.Action(name).Doc))
				}
				fmt.Fprintln(w, "\nevents, for wait_for:")
				for _, name := range events {
					fmt.Fprintf(w, "  %s\t%s\n", name, firstSentence(catalog.Event(name).Doc))
				}
				fmt.Fprintln(w, "\nmore: facteur actions NAME, and of one type of message: facteur actions whatsapp.send_message template")
				return w.Flush()
			}
			if sig := catalog.Action(args[0]); sig != nil {
				if len(args) > 1 {
					return printKind(a.stdout, sig, args[1:])
				}
				printAction(a.stdout, sig)
				return nil
			}
			if event := catalog.Event(args[0]); event != nil {
				if len(args) > 1 {
					return project.UserError("facteur actions "+args[0], "%s is an event and has no kinds", args[0])
				}
				printEvent(a.stdout, event)
				return nil
			}
			return project.UserError(diag.DidYouMean(args[0], "actions and events", append(names, events...)), "there is no action %q", args[0])
		},
	}
}

func firstSentence(doc string) string {
	if i := strings.Index(doc, ". "); i >= 0 {
		return doc[:i+1]
	}
	return doc
}

func printAction(out io.Writer, sig *call.Signature) {
	fmt.Fprintf(out, "%s\n\n  %s\n\n", sig.Name, wrap(sig.Doc, "  "))
	switch {
	case sig.App == "":
		fmt.Fprintln(out, "connection: none")
	case sig.ConnectionOptional:
		fmt.Fprintf(out, "connection: optional, app %s\n", sig.App)
	default:
		fmt.Fprintf(out, "connection: required, app %s\n", sig.App)
	}
	if len(sig.States) > 0 {
		fmt.Fprintf(out, "await: {state: %s}\n", strings.Join(sig.States, " | "))
	}
	fmt.Fprintln(out, "\nwith:")
	printFields(out, sig.In, "  ", 0)
	fmt.Fprintln(out, "\noutputs:")
	printFields(out, sig.Out, "  ", 0)
}

// printKind prints what one case of a union takes, and one of a union inside of it.
func printKind(out io.Writer, sig *call.Signature, kinds []string) error {
	t, path := sig.In, sig.Name
	for _, kind := range kinds {
		union := unionIn(t, maxDepth)
		if union == nil {
			return project.UserError("", "%s has no kinds", path)
		}
		if t = union.Case(kind); t == nil {
			values := make([]string, len(union.Cases))
			for i, c := range union.Cases {
				values[i] = c.Value
			}
			return project.UserError(diag.DidYouMean(kind, "kinds", values), "%s has no %s %q", path, union.Tag, kind)
		}
		path += ", " + union.Tag + ": " + kind
	}
	fmt.Fprintf(out, "%s\n\n", path)
	printInside(out, t, "  ", 0, nil)
	return nil
}

// unionIn finds the first union that a value of the type holds, or nil.
func unionIn(t *schema.Type, depth int) *schema.Type {
	switch {
	case depth == 0:
	case t.Kind == schema.Union:
		return t
	case t.Kind == schema.List, t.Kind == schema.Map:
		return unionIn(t.Elem, depth-1)
	case t.Kind == schema.Object:
		for _, f := range t.Fields {
			if union := unionIn(f.Type, depth-1); union != nil {
				return union
			}
		}
	}
	return nil
}

func printEvent(out io.Writer, e *call.Event) {
	fmt.Fprintf(out, "%s\n\n  %s\n\nwait_for: {event: %s, %s: …}\n\nevent:\n", e.Name, wrap(e.Doc, "  "), e.Name, e.By)
	printFields(out, e.Type, "  ", 0)
}

// maxDepth bounds how deep the reference goes into messages.
const maxDepth = 6

func printFields(out io.Writer, t *schema.Type, indent string, depth int) {
	for _, f := range t.Fields {
		notes := []string{f.Type.Name()}
		if f.Required {
			notes = append(notes, "required")
		}
		if f.Always {
			notes = append(notes, "always present")
		}
		if f.Default != nil {
			notes = append(notes, fmt.Sprintf("default %v", schema.JSON(f.Default)))
		}
		notes = append(notes, bounds(f.Type)...)
		fmt.Fprintf(out, "%s%s  (%s)\n", indent, f.Name, strings.Join(notes, ", "))
		doc := f.Doc
		if doc == "" {
			doc = f.Type.Doc
		}
		if doc != "" {
			fmt.Fprintf(out, "%s    %s\n", indent, wrap(doc, indent+"    "))
		}
		if depth < maxDepth {
			printInside(out, f.Type, indent+"  ", depth+1, t)
		}
	}
}

// printInside prints what a value of the type holds. Of a union in an object these are the
// cases that the object's tag can choose.
func printInside(out io.Writer, t *schema.Type, indent string, depth int, in *schema.Type) {
	switch t.Kind {
	case schema.Object:
		printFields(out, t, indent, depth)
	case schema.List, schema.Map:
		printInside(out, t.Elem, indent, depth, nil)
	case schema.Union:
		var tag *schema.Field
		if in != nil {
			tag = in.Field(t.Tag)
		}
		for _, c := range t.Cases {
			if tag != nil && len(tag.Type.Enum) > 0 && !slices.Contains(tag.Type.Enum, any(c.Value)) {
				continue
			}
			fmt.Fprintf(out, "%s- %s: %s\n", indent, t.Tag, c.Value)
			if depth < maxDepth {
				printInside(out, c.Type, indent+"    ", depth+1, nil)
			}
		}
	}
}

func bounds(t *schema.Type) []string {
	var out []string
	if t.Kind == schema.List && t.MaxItems > 0 {
		out = append(out, fmt.Sprintf("%d to %d items", t.MinItems, t.MaxItems))
	}
	if t.MaxLength > 0 {
		out = append(out, fmt.Sprintf("at most %d characters", t.MaxLength))
	}
	if t.Minimum != nil {
		out = append(out, fmt.Sprintf("at least %v", *t.Minimum))
	}
	if t.Maximum != nil {
		out = append(out, fmt.Sprintf("at most %v", *t.Maximum))
	}
	if len(t.Enum) > 0 {
		words := make([]string, len(t.Enum))
		for i, v := range t.Enum {
			words[i] = fmt.Sprint(v)
		}
		out = append(out, "one of "+strings.Join(words, " "))
	}
	if t.Format != "" {
		out = append(out, t.Format)
	}
	return out
}

// wrap breaks a text into lines of about 88 characters, the later ones indented.
func wrap(text, indent string) string {
	var b strings.Builder
	line := len(indent)
	for i, word := range strings.Fields(text) {
		if i > 0 {
			if line+1+len(word) > 88 {
				b.WriteString("\n" + indent)
				line = len(indent)
			} else {
				b.WriteByte(' ')
				line++
			}
		}
		b.WriteString(word)
		line += len(word)
	}
	return b.String()
}
