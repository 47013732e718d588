package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/cmd/facteur/daemon"
	"facteur/flow/host"
	"facteur/project"
	"facteur/server"
	"facteur/vault"

	"github.com/spf13/cobra"
)

type simulateFlags struct {
	listen      string
	webhook     string
	appSecret   string
	verifyToken string
	faults      string
	clock       string
	seed        uint64
}

func (a *app) simulateCommand() *cobra.Command {
	var f simulateFlags
	c := &cobra.Command{
		Use:   "simulate [PROJECT]",
		Short: "Simulate the Cloud API: validation, errors, limits, webhooks, a phone",
		Long: `Simulate the Cloud API: validation, errors, limits, webhooks, a phone.

The simulator accepts any token and any phone number ID, unless the scene says otherwise. It
knows the templates in the project's folder templates; if there are none, it accepts every
template. A page at its address shows the messages and lets you answer. Some recipients
have a fixed outcome: +33 1 99 00 1047 is refused with 131047; the page lists them all. The
control API is described at /_simulator/:

  curl http://127.0.0.1:8700/_simulator/

--faults takes a JSON file with a list of faults, such as [{"do": "hang", "times": 1}], or with
a complete scene: accounts, numbers, tokens, people, limits, delays of statuses, faults. Press
Ctrl-C to stop.`,
		Example: `  facteur simulate
  facteur simulate shop --webhook http://127.0.0.1:8080/webhooks/whatsapp/whatsapp_shop --verify-token hello
  facteur simulate --faults faults.json --clock 2026-01-01T00:00:00Z`,
		Args: atMostOne("PROJECT"),
		RunE: func(c *cobra.Command, args []string) error { return a.simulate(c.Context(), orHere(args), f) },
	}
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8700", "the `address` to listen on; port 0 picks a free port")
	c.Flags().StringVar(&f.webhook, "webhook", "", "send webhooks to this `URL` once it has answered the handshake")
	c.Flags().StringVar(&f.appSecret, "app-secret", "", "the secret that signs webhooks (default "+simulator.DefaultAppSecret+")")
	c.Flags().StringVar(&f.verifyToken, "verify-token", "", "the verify token of the handshake")
	c.Flags().StringVar(&f.faults, "faults", "", "a JSON `file` with faults or a scene")
	c.Flags().StringVar(&f.clock, "clock", "", "stop the clock at this `time`, e.g. 2026-01-01T00:00:00Z, until the page or the control API moves it")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "make ids and random choices repeatable; 0: different each time")
	return c
}

// options returns the simulator's options by the flags.
func (f simulateFlags) options(a *app, p *project.Project) (simulator.Options, error) {
	o := simulator.Options{Seed: f.seed}
	if f.faults != "" {
		text, err := a.readFile(f.faults)
		if err != nil {
			return o, err
		}
		if o.Scene, err = simulator.ReadScene(text); err != nil {
			return o, project.UserError("", "%s: %w", displayName(f.faults), err)
		}
	}
	if f.appSecret != "" {
		o.Scene.App.Secret = f.appSecret
	}
	if f.clock != "" {
		at, err := time.Parse(time.RFC3339, f.clock)
		if err != nil {
			return o, project.UserError("write it as 2026-01-01T00:00:00Z", "--clock: %q is not a time", f.clock)
		}
		o.Clock = simulator.Frozen(at)
	}
	o.Numbers = p.SenderNumbers()
	var err error
	o.Templates, err = p.ReadTemplates()
	return o, err
}

// simulate runs a simulator until it is interrupted.
func (a *app) simulate(ctx context.Context, path string, f simulateFlags) error {
	if err := wantProject(path); err != nil {
		return err
	}
	p, err := a.open(path)
	if err != nil {
		return err
	}
	o, err := f.options(a, p)
	if err != nil {
		return err
	}
	ctx, _, stop := a.interrupts(ctx, func(int) {})
	defer stop()
	api, err := simulator.New(o)
	if err != nil {
		return err
	}
	defer api.Close()
	listener, err := daemon.Listen(f.listen, "--listen")
	if err != nil {
		return err
	}
	address := "http://" + listener.Addr().String()
	a.printSimulator(p, o, f, address)
	if !server.IsLoopback(f.listen) {
		a.warn("anybody who can reach %s can see and send messages: there is no password", f.listen)
	}
	if f.webhook != "" {
		go a.subscribe(ctx, api, simulator.Webhook{URL: f.webhook, VerifyToken: f.verifyToken})
	}
	err = server.Serve(ctx, listener, api, server.ServeOptions{WriteTimeout: -1, Drain: 1}) // it has nothing to lose
	if ctx.Err() != nil {
		return nil
	}
	return project.SystemError(err, "")
}

// printSimulator prints where the simulator is, and how flows reach it.
func (a *app) printSimulator(p *project.Project, o simulator.Options, f simulateFlags, address string) {
	fmt.Fprintln(a.stdout, address)
	fmt.Fprintf(a.stderr, "the phone is at %s/\n", address)
	if n := len(o.Templates); n > 0 {
		fmt.Fprintf(a.stderr, "%s loaded from %s\n", count(n, "template"), project.RelPath(p.Abs(project.TemplatesFolder)))
	}
	name := p.OnlyConnection()
	if name == "" {
		name = "whatsapp_shop"
	}
	run := vault.Variable(name, "BASE_URL") + "=" + address + " " + vault.Variable(name, "TOKEN") + "=any"
	fmt.Fprintf(a.stderr, "to send a flow's messages to the simulator:\n  %s facteur run FLOW …\nor, in %s, connections: {%s: {app: WHATSAPP, base_url: %q}}\n",
		run, project.FileName, name, address)
	secret := "…" // the author's
	if o.Scene.App.Secret == "" {
		secret = simulator.DefaultAppSecret
	}
	fmt.Fprintf(a.stderr, "to send a daemon's messages to it, and get receipts and replies:\n  %s %s=%s %s=%s facteur serve\n",
		run, vault.Variable(name, "APP_SECRET"), secret, vault.Variable(name, "VERIFY_TOKEN"), cmp.Or(f.verifyToken, "any"))
	if f.webhook == "" {
		fmt.Fprintf(a.stderr, "  and start this command with --webhook http://127.0.0.1:8080%s --verify-token any\n", daemon.WebhookPath(name))
	}
}

// subscribe verifies the webhook, again and again until it answers.
func (a *app) subscribe(ctx context.Context, api *simulator.Simulator, hook simulator.Webhook) {
	for first := true; ctx.Err() == nil; first = false {
		err := api.Subscribe(ctx, hook)
		switch {
		case err == nil:
			fmt.Fprintf(a.stderr, "webhooks are sent to %s\n", hook.URL)
			return
		case first && ctx.Err() == nil:
			a.warn("webhooks cannot be delivered to %s yet: %s; trying again every second", hook.URL, err)
		}
		if !host.Sleep(ctx, time.Second) {
			return
		}
	}
}
