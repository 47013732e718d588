package main

import "github.com/spf13/cobra"

func (a *app) validateCommand() *cobra.Command { return &cobra.Command{Use: "validate"} }
func (a *app) testCommand() *cobra.Command     { return &cobra.Command{Use: "test"} }
func (a *app) schemaCommand() *cobra.Command   { return &cobra.Command{Use: "schema"} }
func (a *app) explainCommand() *cobra.Command  { return &cobra.Command{Use: "explain"} }
