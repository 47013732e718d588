package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"facteur/flow/diag"
	"facteur/project"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exactly wants one argument for each name.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		takes := cmp.Or(strings.Join(names, " and "), "no arguments")
		switch {
		case len(args) < len(names):
			return project.UserError(seeHelp(c), "%s takes %s", c.CommandPath(), takes)
		case len(args) > len(names):
			return tooMany(c, takes, len(names), args)
		}
		return nil
	}
}

// tooMany is the error about the first argument that is too many.
func tooMany(c *cobra.Command, takes string, most int, args []string) error {
	if most == 1 {
		takes = "one " + takes
	}
	return project.UserError(seeHelp(c), "%s takes %s, so %q is too many", c.CommandPath(), takes, args[most])
}

// atLeastOne wants one or more arguments.
func atLeastOne(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		hint := seeHelp(c)
		if name == "PATH" {
			hint = "for everything in this folder: " + c.CommandPath() + " ."
		}
		if len(args) == 0 {
			return project.UserError(hint, "%s takes at least one %s", c.CommandPath(), name)
		}
		return nil
	}
}

// atMostOne wants one argument or none.
func atMostOne(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return tooMany(c, name, 1, args)
		}
		return nil
	}
}

// orHere is the path that was given, or the working folder.
func orHere(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

// none wants no arguments.
var none = exactly()

// subcommand wants the name of a command below; none at all asks for help.
func subcommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			names = append(names, sub.Name())
		}
		for _, below := range sub.Commands() {
			if below.Name() == args[0] && sub.Name() != "completion" {
				return project.UserError(fmt.Sprintf("did you mean %q?", below.CommandPath()), "%s has no command %q", c.CommandPath(), args[0])
			}
		}
	}
	return project.UserError(diag.DidYouMean(args[0], "commands", names), "%s has no command %q", c.CommandPath(), args[0])
}

// group makes a command a group of subcommands: alone it shows its help.
func group(c *cobra.Command, below ...*cobra.Command) *cobra.Command {
	c.Args, c.RunE = subcommand, func(c *cobra.Command, _ []string) error { return c.Help() }
	c.AddCommand(below...)
	return c
}

// flagError turns an error about flags into ours, with the flag that was probably meant.
func flagError(c *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		if _, ok := e.GetFlag().Value.(*durationFlag); ok {
			return project.UserError("such as 30s, 12h or 90d", "--%s: %w", e.GetFlag().Name, e.Unwrap())
		}
	}
	name, unknown := strings.CutPrefix(err.Error(), "unknown flag: ")
	if !unknown {
		return project.UserError(seeHelp(c), "%w", err)
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, "--"+f.Name)
		}
	})
	return project.UserError(diag.DidYouMean(name, "flags", known), "%s has no flag %s", c.CommandPath(), name)
}

func seeHelp(c *cobra.Command) string { return fmt.Sprintf("see %q", c.CommandPath()+" --help") }
