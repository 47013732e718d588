package record_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"facteur/flow/record"
)

// A client that is answered from a recording, and the error of a request that does not match
// it.
func ExamplePlayer() {
	exchanges, diags := record.Parse("recordings/accepted.yaml", []byte(`
exchanges:
  - step: notify
    request: {path: /106540352242922/messages, json: {to: "+33612345678", $more: true}}
    response: {status: 200, json: {messages: [{id: wamid.TEST}]}}
`))
	if diags.HasErrors() {
		fmt.Println(diags.Err())
		return
	}
	player := record.NewPlayer(exchanges, record.PlayerOptions{})
	ctx := record.WithInfo(context.Background(), record.Info{Step: "notify", Attempt: 1})
	for _, to := range []string{"+33612345679", "+33612345678"} {
		req, _ := http.NewRequestWithContext(ctx, "POST", "https://graph.facebook.com/v23.0/106540352242922/messages", strings.NewReader(`{"to": "`+to+`", "type": "text"}`))
		if resp, err := player.RoundTrip(req); err != nil {
			fmt.Println(err)
		} else {
			fmt.Println(resp.Status)
		}
	}
	fmt.Println(len(player.Unused()), "unused")
	// Output:
	// no recorded exchange matches this request of step notify
	//   POST /v23.0/106540352242922/messages
	//   nearest: recordings/accepted.yaml:3
	//     json.to: recorded "+33612345678", sent "+33612345679"
	// 200 OK
	// 0 unused
}
