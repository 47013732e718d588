package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"facteur/cmd/facteur/daemon"
	"facteur/cmd/facteur/dev"
	"facteur/flow/host"
	"facteur/project"
	"facteur/server"

	"github.com/spf13/cobra"
)

type devFlags struct {
	listen    string
	simulator string
	data      string
}

func (a *app) devCommand() *cobra.Command {
	var f devFlags
	c := &cobra.Command{
		Use:   "dev [PATH]",
		Short: "Try the flows of a project in the browser as you write them",
		Long: `Try the flows of a project in the browser as you write them.

The daemon and a simulator of the Cloud API run in this process: messages reach only a
simulated phone on a web page; receipts and replies return by webhook. Another page lists
the flows, each with a form for its inputs, and shows the steps of a run as they happen.
Flows are reloaded whenever a file is saved; errors are shown with their position, here and
on the page.

Waits take real time: the clock buttons of the phone affect only the phone. To see what
happens after a timeout, use "facteur run --simulate", whose time is virtual, or a flow test.

Calls of http.request are real, with the connections of the project's vault, and so are
schedules. A request to a webhook trigger needs the secret or signature of its connection,
which you store with "facteur vault set"; without it, the answer says what is missing.

Runs are kept in the folder given by --data, or else in a temporary folder that is removed
at the end. To inspect them, give other commands the address of the page, as in
"facteur runs list --server http://127.0.0.1:8080". Press Ctrl-C to stop.`,
		Example: `  facteur dev
  facteur dev shop/flows/order_shipped.flow.yaml --listen 127.0.0.1:9000

  # a flow with - webhook: {path: /orders, connection: orders_hook, …}
  facteur vault set orders_hook --app WEBHOOK type=shared
  curl localhost:8080/hooks/orders -H "Authorization: Bearer SECRET" -d '{"id": "7"}'`,
		Args: atMostOne("PATH"),
		RunE: func(c *cobra.Command, args []string) error { return a.dev(c.Context(), orHere(args), f) },
	}
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8080", "the loopback `address` of the page and the API; port 0 picks a free port")
	c.Flags().StringVar(&f.simulator, "simulator", "127.0.0.1:8700", "the loopback `address` of the phone; port 0 picks a free port")
	c.Flags().StringVar(&f.data, "data", "", "keep the runs in this `folder`")
	return c
}

// dev opens a workbench, and keeps it open until it is interrupted.
func (a *app) dev(ctx context.Context, path string, f devFlags) error {
	for _, address := range []string{f.listen, f.simulator} {
		if !server.IsLoopback(address) {
			return project.UserError("choose one such as 127.0.0.1:8080, or use facteur serve", "%s is not a loopback address, so anybody who can reach it could run flows", address)
		}
	}
	if _, err := stat(path, project.FlowSuffix); err != nil {
		return err
	}
	p, err := a.open(path)
	if err != nil {
		return err
	}
	began := time.Now()
	o := dev.Options{
		Project: p, Data: f.data, Version: version(), Log: a.stderr, Color: colored(a.stderr),
		Export: func(ctx context.Context, r *host.Report) ([]byte, error) { return exportFor(ctx, p.Root, r) },
	}
	if strings.HasSuffix(path, project.FlowSuffix) {
		if parsed, err := p.Parse(path); err == nil {
			o.Flow = parsed.Name
		}
	}
	soft, hard, stop := a.interrupts(ctx, a.printInterrupt)
	defer stop()
	for _, at := range []struct {
		address, flag string
		door          *net.Listener
	}{{f.listen, "--listen", &o.Page}, {f.simulator, "--simulator", &o.Phone}} {
		l, err := daemon.Listen(at.address, at.flag)
		if err != nil {
			return err
		}
		defer l.Close() // it is closed already when all went well
		*at.door = l
	}
	w, err := dev.Open(soft, hard, o)
	if err != nil {
		return err
	}
	defer w.Close()
	fmt.Fprintf(a.stdout, "http://%s\n", o.Page.Addr())
	fmt.Fprintf(a.stderr, "flows   http://%s/\nphone   http://%s/\nready in %v; flows are reloaded whenever a file in %s is saved\n",
		o.Page.Addr(), o.Phone.Addr(), time.Since(began).Round(time.Millisecond), project.RelPath(p.Root))
	if names, _ := p.Index(); len(names) == 0 {
		fmt.Fprintf(a.stderr, "there are no flows here yet: save one as NAME%s, or create a project with: facteur init DIR\n", project.FlowSuffix)
	}
	return w.Run(soft, stop)
}
