package main

import (
	"context"
	"os"
)

// interrupts returns a context that ends with the first interrupt, for an orderly end, and one
// that ends with the second, to stop at once; onInterrupt is called for both. After stop, and with
// the third, an interrupt kills the process as usual.
func (a *app) interrupts(ctx context.Context, onInterrupt func(n int)) (soft, hard context.Context, stop func()) {
	soft, softly := context.WithCancel(ctx)
	hard, hardly := context.WithCancel(context.WithoutCancel(ctx))
	if a.notifyInterrupts == nil {
		return soft, hard, func() { softly(); hardly() }
	}
	heard := make(chan os.Signal, 2)
	forget := a.notifyInterrupts(heard)
	go func() {
		for n, end := range []func(){softly, hardly} {
			select {
			case <-heard:
				onInterrupt(n + 1)
				end()
			case <-hard.Done():
				return
			}
		}
		forget()
	}()
	return soft, hard, func() { forget(); softly(); hardly() }
}
