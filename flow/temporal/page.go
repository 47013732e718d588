package temporal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"facteur/flow/machine/stored"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// What happened to a run is more than one execution of its workflow may begin or end with,
// once it has made some thousand calls, or its answers are long. What is more is kept on
// pages: workflows that do nothing, each of which has a part of it as its input. A page is
// written once. It stays for as long as the server knows the run.

const (
	pageType       = "facteur.page"
	recallActivity = "facteur.recall" // of a page: what is on it
	knownActivity  = "facteur.known"  // of a run: whether the server still knows it

	// pageSize is how many bytes of records go on a page, before they are compressed. One
	// record has a page of its own if it must.
	pageSize = 1 << 20
	// pageLook is between looks whether the run is still known.
	pageLook = 7 * 24 * time.Hour

	// longPaged is from how many events on a run with pages goes on in another execution,
	// and bigPaged from how many bytes: each begins with reading all pages.
	longPaged = 20_000
	bigPaged  = 8 << 20
	// pagedTaskTime is how long a worker may take with such a run at once: it goes through
	// all that happened.
	pagedTaskTime = time.Minute
	// mostHistory is from how many bytes on a run begins nothing new: the server ends it
	// at 50 MB.
	mostHistory = 40 << 20
)

// A page holds a part of what happened to a run.
type page struct {
	Run    string          `json:"run"`
	Events []stored.Record `json:"events"`
}

// pageWorkflow is what a page is.
func pageWorkflow(ctx workflow.Context, p page) error {
	look := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 15 * time.Second})
	for known := true; known; {
		if err := workflow.Sleep(ctx, pageLook); err != nil {
			return err
		}
		if err := workflow.ExecuteActivity(look, knownActivity, p.Run).Get(ctx, &known); err != nil {
			return err
		}
	}
	return nil
}

// known tells whether the server knows a run.
func (h *Host) known(ctx context.Context, run string) (bool, error) {
	_, err := h.client.DescribeWorkflow(ctx, run, "")
	if missing := (*serviceerror.NotFound)(nil); errors.As(err, &missing) {
		return false, nil
	}
	return err == nil, err
}

// recall returns what is on a page.
func (h *Host) recall(ctx context.Context, id string) ([]stored.Record, error) {
	first, err := h.firstEvent(ctx, id, "")
	if err != nil {
		return nil, fmt.Errorf("read a page of the run: %w", err)
	}
	var p page
	err = h.decode(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &p)
	return p.Events, err
}

// recallAll returns what is on some pages.
func (h *Host) recallAll(ctx context.Context, pages []string) (all []stored.Record, err error) {
	for _, id := range pages {
		events, err := h.recall(ctx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, events...)
	}
	return all, nil
}

// weight is how many bytes some records have.
func weight(records []stored.Record) (bytes int) {
	for _, r := range records {
		bytes += len(r.Body)
	}
	return bytes
}

// fit returns how many of some records go on a page.
func fit(records []stored.Record) (n int) {
	bytes := 0
	for n = range records {
		if bytes += len(records[n].Body); bytes > pageSize && n > 0 {
			return n
		}
	}
	return len(records)
}

// inline is how many bytes of records may stand beside what a run began with.
func (in *input) inline() int {
	return max(min(pageSize, maxPayload-len(in.Start.Body)-weightOf(in.Sources)), 0)
}

// A chronicle is all that happened to a run, of which the first events are on pages.
type chronicle struct {
	events []stored.Record
	pages  []string
	filed  int // how many events are on pages
}

// begin takes what happened in earlier executions.
func (c *chronicle) begin(paged []stored.Record, pages []string, inline []stored.Record) {
	c.pages, c.filed = pages[:len(pages):len(pages)], len(paged)
	c.events = append(paged, inline...)
	c.events = c.events[:len(c.events):len(c.events)]
}

// loose are the events that are on no page.
func (c *chronicle) loose() []stored.Record { return c.events[c.filed:] }

// remember reads the pages of the run.
func (r *runner) remember() error {
	var paged []stored.Record
	once := workflow.WithActivityOptions(r.ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute, RetryPolicy: &temporal.RetryPolicy{MaximumInterval: time.Minute},
	})
	var reading []workflow.Future
	for _, id := range r.in.Pages {
		reading = append(reading, workflow.ExecuteActivity(once, recallActivity, id))
	}
	for _, f := range reading {
		var events []stored.Record
		if err := f.Get(r.ctx, &events); err != nil {
			return err
		}
		paged = append(paged, events...)
	}
	r.all.begin(paged, r.in.Pages, r.in.Events)
	r.before = len(r.all.events)
	return nil
}

// pageName is of what is on the page, whoever writes it and in whatever form: what happened
// before and after an operator reset the workflow differs in its times.
func pageName(run string, from int, events []stored.Record) string {
	sum := sha256.New()
	for _, r := range events {
		fmt.Fprintf(sum, "%s %d\n", r.Kind, r.At.UnixNano())
	}
	return fmt.Sprintf("%s\n%d\n%x", run, from, sum.Sum(nil))
}

// file writes a page, if more is loose than may be. It waits for that, so that signals may
// have come when it returns true.
func (r *runner) file(atMost int) bool {
	loose := r.all.loose()
	if weight(loose) <= atMost {
		return false
	}
	n := fit(loose)
	id := r.h.nameOn(r.queueName(), "page", pageName(r.id(), r.all.filed, loose[:n]))
	apart := workflow.WithChildOptions(r.ctx, workflow.ChildWorkflowOptions{
		WorkflowID: id, ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_ABANDON,
	})
	child := workflow.ExecuteChildWorkflow(apart, pageType, page{r.id(), loose[:n]})
	err := child.GetChildWorkflowExecution().Get(r.ctx, nil)
	if there := (*temporal.ChildWorkflowExecutionAlreadyStartedError)(nil); err != nil && !errors.As(err, &there) {
		panic(fmt.Sprintf("write a page of the run: %s", err))
	}
	r.all.pages, r.all.filed = append(r.all.pages, id), r.all.filed+n
	return true
}

// file writes pages for a run that has ended, until no more is loose than may be.
func (h *Host) file(ctx context.Context, run string, c *chronicle, atMost int) error {
	for weight(c.loose()) > atMost {
		n := fit(c.loose())
		id := h.name("page", pageName(run, c.filed, c.loose()[:n]))
		_, err := h.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: h.opts.Queue}, pageType, page{run, c.loose()[:n]})
		if err != nil {
			return fmt.Errorf("write a page of the run: %w", err)
		}
		c.pages, c.filed = append(c.pages, id), c.filed+n
	}
	return nil
}

// isLong tells whether the run is to go on in another execution.
func (r *runner) isLong() bool {
	info := workflow.GetInfo(r.ctx)
	if len(r.in.Pages) > 0 { // it began with a long history, and whoever suggests that it begins anew does not know that
		return info.GetCurrentHistoryLength() > longPaged || info.GetCurrentHistorySize() > r.base+bigPaged
	}
	return info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > longHistory
}

// isFull tells whether all that is known of the run is about to be more than the server
// takes.
func (r *runner) isFull() bool {
	return workflow.GetInfo(r.ctx).GetCurrentHistorySize() > mostHistory
}

const full = "too much has happened in this run for the Temporal server, which ends it at 50 MB: divide what it does among several runs, e.g. by a list that is cut in parts"
