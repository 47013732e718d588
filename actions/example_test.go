package actions_test

import (
	"context"
	"errors"
	"fmt"

	"facteur/actions"
	"facteur/flow/call"
)

// An action of one's own: its inputs and outputs are described by tags, and what its errors
// claim decides whether a call may be made again.
func ExampleDefine() {
	type reserve struct {
		SKU   string `json:"sku" schema:"required,maxLength=20" doc:"what is reserved"`
		Count int    `json:"count" schema:"default=1,minimum=1"`
	}
	type reserved struct {
		Left int `json:"left" doc:"how many there are now"`
	}
	stock := map[string]int{"tea": 5}
	action := actions.Define(actions.Spec[struct{}]{Signature: call.Signature{Name: "stock.reserve", Doc: "Reserves goods."}},
		func(_ context.Context, _ struct{}, in reserve) (reserved, error) {
			if stock[in.SKU] < in.Count {
				return reserved{Left: stock[in.SKU]}, actions.Permanent(errors.New("there are not enough"))
			}
			stock[in.SKU] -= in.Count
			return reserved{Left: stock[in.SKU]}, nil
		})
	set, err := actions.NewSet(nil, action) // without connections; flows are compiled with the set, hosts call its Do
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, count := range []int64{3, 3} {
		out := set.Do(context.Background(), call.Call{Action: "stock.reserve", Input: map[string]any{"sku": "tea", "count": count}})
		fmt.Println(out.Status, out.Output["left"], out.Error)
	}
	// Output:
	// succeeded 2 <nil>
	// failed 2 there are not enough
}
