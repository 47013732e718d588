package server_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"facteur/server"
)

// Start a run, safely repeatable, and wait for its end.
func ExampleClient_Start() {
	c := &server.Client{URL: "http://127.0.0.1:8180", Key: os.Getenv("FACTEUR_KEY")}
	run, err := c.Start(context.Background(), "order_shipped",
		server.StartRequest{Inputs: map[string]any{"phone": "+33612345678", "order_id": "1042"}},
		server.StartOption{Key: "order-1042-shipped", Wait: 30 * time.Second})
	if p, ok := errors.AsType[*server.Problem](err); ok {
		fmt.Println(p.Kind(), p, p.Hint)
		return
	}
	if err != nil {
		fmt.Println("the daemon cannot be reached:", err)
		return
	}
	fmt.Println(run.RunID, run.Status, run.Outputs["message_id"])
}
