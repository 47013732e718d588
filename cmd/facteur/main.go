// Command facteur writes, checks, tests and runs flows that send WhatsApp messages.
//
// Run "facteur help", or see the README. Most files here are one subcommand each. The
// others: app.go, what the subcommands share; checker.go, files with the projects that they
// belong to; world.go, what a run meets, real or not; remote.go, how a daemon is asked;
// folder.go, what can be read without one. The daemon itself is package daemon, the page of
// "facteur dev" package dev, what a test case meets package testbed, what all work with package
// project.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // a bare image has no time zones of its own
)

func main() {
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, listen: listen, hangups: hangups}
	os.Exit(a.run(context.Background(), os.Args[1:]))
}

// listen passes on interrupts until it is told to forget. Meanwhile a closed pipe ends
// nothing: it must not come between a message and the record of it.
func listen(interrupts chan<- os.Signal) (forget func()) {
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	signal.Ignore(syscall.SIGPIPE)
	return func() { signal.Stop(interrupts) }
}

// hangups passes on the signal that asks a daemon to read its flows again, until it is told
// to forget. It ends no daemon: neither one that starts, nor one that comes to its end.
func hangups(heard chan<- os.Signal) (forget func()) {
	signal.Notify(heard, syscall.SIGHUP)
	return func() { signal.Ignore(syscall.SIGHUP) }
}
