package main

import (
	"net"
	"net/http"

	"facteur/actions/whatsapp/simulator"
	"facteur/e2e/bench/child"
)

// startSimulator is the Cloud API: any token, any sender, no webhooks, and none of Meta's rate
// limits.
func startSimulator(child.Setup) (*child.Subject, error) {
	const none = 1 << 40
	api, err := simulator.New(simulator.Options{Scene: simulator.Scene{
		Limits:   simulator.Limits{Throughput: none, People: none},
		Statuses: simulator.Statuses{Sent: -1, Delivered: -1, Read: -1},
	}})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() { _ = http.Serve(l, api) }()
	look := func(a *child.Response) error {
		counts := api.Counts()
		a.Runs = counts.Accepted
		return nil
	}
	return &child.Subject{Address: "http://" + l.Addr().String(), Stats: look, Close: api.Close}, nil
}
