// Command facteur writes, checks, tests and runs flows that send WhatsApp messages.
//
// Run "facteur help", or see the README. Each file here is one subcommand, but for
// catalog.go, the list of what flows can do; project.go, the project file; and app.go,
// what the subcommands share.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run()) }

func run() int {
	soft, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, soft: soft}
	return a.run(os.Args[1:])
}
