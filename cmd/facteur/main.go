// Command facteur writes, checks, tests and runs flows that send WhatsApp messages.
//
// Run "facteur help", or see the README. Most files here are one subcommand each. The
// others: app.go, what the subcommands share; checker.go, files with the projects that they
// belong to; environment.go, what a run works against, real or not; remote.go, the client of a
// daemon; folder.go, what can be read without one. The daemon itself is package daemon, the page
// of "facteur dev" package dev, the environment of flow tests package testbed, and the project
// that all of them work on package project.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // a bare image has no time zones of its own
)

func main() {
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, notifyInterrupts: notifyInterrupts, notifyHangups: notifyHangups}
	os.Exit(a.run(context.Background(), os.Args[1:]))
}

// notifyInterrupts sends interrupts to a channel until forget is called. Meanwhile SIGPIPE is
// ignored: it must not end the process between sending a message and recording it.
func notifyInterrupts(interrupts chan<- os.Signal) (forget func()) {
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	signal.Ignore(syscall.SIGPIPE)
	return func() { signal.Stop(interrupts) }
}

// notifyHangups sends SIGHUP, which asks a daemon to reload its flows, to a channel until forget is
// called. Meanwhile it does not end the process, also while the daemon starts and stops.
func notifyHangups(heard chan<- os.Signal) (forget func()) {
	signal.Notify(heard, syscall.SIGHUP)
	return func() { signal.Ignore(syscall.SIGHUP) }
}
