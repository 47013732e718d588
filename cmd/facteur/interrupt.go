package main

import (
	"context"
	"os"
)

// interrupts returns a context that ends with the first interrupt, to come to an orderly
// end, and one that ends with the second, to stop at once; told hears of both. Before,
// after stop, and with the third, an interrupt just ends the command.
func (a *app) interrupts(ctx context.Context, told func(n int)) (soft, hard context.Context, stop func()) {
	soft, softly := context.WithCancel(ctx)
	hard, hardly := context.WithCancel(context.WithoutCancel(ctx))
	if a.listen == nil {
		return soft, hard, func() { softly(); hardly() }
	}
	heard := make(chan os.Signal, 2)
	forget := a.listen(heard)
	go func() {
		for n, end := range []func(){softly, hardly} {
			select {
			case <-heard:
				told(n + 1)
				end()
			case <-hard.Done():
				return
			}
		}
		forget()
	}()
	return soft, hard, func() { forget(); softly(); hardly() }
}
