package temporal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"facteur/flow/machine/stored"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// After some thousand calls, or long answers, the events of a run are more than the server
// takes as the input or result of its workflow. The first of them are moved to pages:
// workflows that do nothing, each of which has a part of the events as its input. A page is
// written once, and stays for as long as the server knows the run.

const (
	pageType       = "facteur.page"
	recallActivity = "facteur.recall" // returns the events of a page
	knownActivity  = "facteur.known"  // reports whether the server still knows a run

	// pageSize is how many bytes of records a page has, before compression. A larger record
	// has a page of its own.
	pageSize = 1 << 20
	// pageCheck is how often a page checks whether its run is still known.
	pageCheck = 7 * 24 * time.Hour

	// A run with pages continues as new after maxPagedHistory events, or when its history has
	// grown by maxPagedGrowth bytes: more than other runs, as each execution begins with
	// reading all pages.
	maxPagedHistory = 20_000
	maxPagedGrowth  = 8 << 20
	// pagedTaskTime is the workflow task time-out of such a run, whose worker applies all its
	// events.
	pagedTaskTime = time.Minute
	// maxHistory is the size of its history, in bytes, at which a run is cancelled: the server
	// ends it at 50 MB.
	maxHistory = 40 << 20
)

// A page holds a part of a run's events. It is stored.
type page struct {
	Run    string          `json:"run"`
	Events []stored.Record `json:"events"`
}

// pageWorkflow is the workflow of a page. It ends once the server has forgotten the run.
func pageWorkflow(ctx workflow.Context, p page) error {
	check := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 15 * time.Second})
	for known := true; known; {
		if err := workflow.Sleep(ctx, pageCheck); err != nil {
			return err
		}
		if err := workflow.ExecuteActivity(check, knownActivity, p.Run).Get(ctx, &known); err != nil {
			return err
		}
	}
	return nil
}

// isKnown is the activity that reports whether the server knows a run.
func (h *Host) isKnown(ctx context.Context, run string) (bool, error) {
	_, err := h.client.DescribeWorkflow(ctx, run, "")
	if isNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// readPage returns the events of a page.
func (h *Host) readPage(ctx context.Context, id string) ([]stored.Record, error) {
	first, err := h.firstEvent(ctx, id, "")
	if err != nil {
		return nil, fmt.Errorf("read a page of the run: %w", err)
	}
	var p page
	err = h.decode(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &p)
	return p.Events, err
}

// readPages returns the events of some pages.
func (h *Host) readPages(ctx context.Context, pages []string) (all []stored.Record, err error) {
	for _, id := range pages {
		events, err := h.readPage(ctx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, events...)
	}
	return all, nil
}

// recordBytes returns the size of some records.
func recordBytes(records []stored.Record) (bytes int) {
	for _, r := range records {
		bytes += len(r.Body)
	}
	return bytes
}

// pageLen returns how many of some records fit on a page, at least one.
func pageLen(records []stored.Record) (n int) {
	bytes := 0
	for n = range records {
		if bytes += len(records[n].Body); bytes > pageSize && n > 0 {
			return n
		}
	}
	return len(records)
}

// maxInlineBytes returns how many bytes of records may be in an input or result beside what
// the run was started with.
func (in *input) maxInlineBytes() int {
	return max(min(pageSize, maxPayload-len(in.Start.Body)-sourceBytes(in.Sources)), 0)
}

// An eventLog has all events of a run; the first of them are also on pages.
type eventLog struct {
	events []stored.Record
	pages  []string
	paged  int // how many of events are on pages
}

// init sets the events of earlier executions.
func (c *eventLog) init(paged []stored.Record, pages []string, inline []stored.Record) {
	c.pages, c.paged = slices.Clip(pages), len(paged)
	c.events = slices.Concat(paged, inline)
}

// unpaged returns the events that are on no page.
func (c *eventLog) unpaged() []stored.Record { return c.events[c.paged:] }

// readPages reads the pages of the run.
func (r *runner) readPages() error {
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
	r.log.init(paged, r.in.Pages, r.in.Events)
	r.earlier = len(r.log.events)
	return nil
}

// nextPage returns the page with the first of the unpaged events, and its name, which depends only
// on its content: the same page is not written twice. The kinds and times of events identify it:
// those after an operator reset the workflow have other times than those that they replace.
func (c *eventLog) nextPage(run string) (name string, p page) {
	p = page{run, c.unpaged()[:pageLen(c.unpaged())]}
	sum := sha256.New()
	for _, r := range p.Events {
		fmt.Fprintf(sum, "%s %d\n", r.Kind, r.At.UnixNano())
	}
	return fmt.Sprintf("%s\n%d\n%x", run, c.paged, sum.Sum(nil)), p
}

// add notes that a page was written.
func (c *eventLog) add(id string, p page) {
	c.pages, c.paged = append(c.pages, id), c.paged+len(p.Events)
}

// writePage writes a page if the unpaged events are larger than maxBytes, and reports whether
// it did. It waits for that: signals may have come meanwhile.
func (r *runner) writePage(maxBytes int) bool {
	if recordBytes(r.log.unpaged()) <= maxBytes {
		return false
	}
	name, p := r.log.nextPage(r.id())
	id := r.h.workflowIDOn(r.queueName(), "page", name)
	apart := workflow.WithChildOptions(r.ctx, workflow.ChildWorkflowOptions{
		WorkflowID: id, ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_ABANDON,
	})
	err := workflow.ExecuteChildWorkflow(apart, pageType, p).GetChildWorkflowExecution().Get(r.ctx, nil)
	if _, exists := errors.AsType[*temporal.ChildWorkflowExecutionAlreadyStartedError](err); err != nil && !exists {
		panic(fmt.Sprintf("write a page of the run: %s", err))
	}
	r.log.add(id, p)
	return true
}

// writePages writes pages for a run that has ended, until its unpaged events are not larger
// than maxBytes.
func (h *Host) writePages(ctx context.Context, run string, c *eventLog, maxBytes int) error {
	for recordBytes(c.unpaged()) > maxBytes {
		name, p := c.nextPage(run)
		id := h.workflowID("page", name)
		if _, err := h.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: h.opts.Queue}, pageType, p); err != nil {
			return fmt.Errorf("write a page of the run: %w", err)
		}
		c.add(id, p)
	}
	return nil
}

// needsNewExecution reports whether the run is to continue as new.
func (r *runner) needsNewExecution() bool {
	info := workflow.GetInfo(r.ctx)
	if len(r.in.Pages) > 0 { // the server would suggest it at once, as the history is long from the start
		return info.GetCurrentHistoryLength() > maxPagedHistory || info.GetCurrentHistorySize() > r.startSize+maxPagedGrowth
	}
	return info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > maxHistoryEvents
}

// cancelIfFull cancels a run whose history is about to be larger than the server allows.
func (r *runner) cancelIfFull() {
	if !r.full && r.m.Result() == nil && workflow.GetInfo(r.ctx).GetCurrentHistorySize() > maxHistory {
		r.full = true
		r.cancel(fullReason)
	}
}

const fullReason = "too much has happened in this run for the Temporal server, which ends it at 50 MB: divide what it does among several runs, e.g. by a list that is cut in parts"
