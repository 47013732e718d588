package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/flow/host"
	"facteur/project"
	"facteur/server"
)

const (
	wholeID   = 26     // letters of a run's id
	leastPart = 6      // letters that a part of one has at least
	mostNamed = 10_000 // runs that a part of an id is looked for among, of the latest and of its time
	lastRun   = "last"
)

// namingRuns is how runs are named, for help texts.
const namingRuns = `RUN is an id, or at least 6 letters of the beginning or the end of one. The ids of runs that
started at about the same time begin alike.`

// findRun returns the id of the run that a name means: an id, a part of one, or the last run that
// was started. A name that matches none is returned as it is.
func findRun(ctx context.Context, r runReader, name string) (string, error) {
	q := host.Filter{Limit: 1000}
	switch {
	case name == lastRun:
		q.Limit = 1
		list, err := r.Runs(ctx, q)
		if err == nil && len(list.Runs) == 0 {
			err = project.UserError("", "there are no runs yet")
		}
		if err != nil {
			return "", err
		}
		return list.Runs[0].RunID, nil
	case len(name) < leastPart || len(name) >= wholeID:
		return name, nil
	}
	found, all, err := runsLike(ctx, r, name, q)
	if err == nil && !all { // a time leads to older ones
		var older []server.Run
		if q.Since, q.Until = startOf(name); !q.Since.IsZero() {
			older, _, err = runsLike(ctx, r, name, q)
		}
		for _, run := range older {
			if !slices.ContainsFunc(found, func(f server.Run) bool { return f.RunID == run.RunID }) {
				found = append(found, run)
			}
		}
	}
	switch {
	case err != nil:
		return "", err
	case len(found) == 1:
		return found[0].RunID, nil
	case len(found) > 1:
		return "", project.UserError("give more letters, or the end of the id", "%s matches several runs: %s", name, listIDs(found))
	case !all:
		return "", project.UserError("give the whole id; facteur runs list --since and --until show older runs",
			"none of the latest runs has an id that starts or ends with %s, and older runs were not searched", name)
	}
	return name, nil
}

// runsLike returns the runs of a list whose ids begin or end with part, and whether the whole list
// was searched.
func runsLike(ctx context.Context, r runReader, part string, q host.Filter) (found []server.Run, all bool, err error) {
	for seen := 0; seen < mostNamed; {
		list, err := r.Runs(ctx, q)
		if err != nil {
			return nil, false, err
		}
		for _, run := range list.Runs {
			if run.RunID == part {
				return []server.Run{run}, true, nil
			}
			if strings.HasPrefix(run.RunID, part) || strings.HasSuffix(run.RunID, part) {
				found = append(found, run)
			}
		}
		seen += len(list.Runs)
		if q.Cursor = list.Next; q.Cursor == "" {
			return found, len(list.Runs) < q.Limit, nil // the list of several journals has no cursor
		}
	}
	return found, false, nil
}

// startOf returns when a run started whose id begins with part, if that can be told: the first 48
// bits of most ids are the time, in milliseconds.
func startOf(part string) (since, until time.Time) {
	const letters = 10 // of five bits each, the first of which hold the time
	part = part[:min(len(part), letters)]
	first, err := strconv.ParseUint(part+strings.Repeat("0", letters-len(part)), 32, 64)
	last, err2 := strconv.ParseUint(part+strings.Repeat("v", letters-len(part)), 32, 64)
	if err != nil || err2 != nil {
		return since, until
	}
	return time.UnixMilli(int64(first >> 2)), time.UnixMilli(int64(last>>2) + 1)
}

// listIDs lists the ids of runs, the latest first, cut off if there are many.
func listIDs(runs []server.Run) string {
	const most = 5
	var names []string
	for _, r := range runs[:min(len(runs), most)] {
		names = append(names, r.RunID+" ("+r.Flow+")")
	}
	if len(runs) > most {
		names = append(names, "…")
	}
	return strings.Join(names, ", ")
}

// runsToChange returns the daemon, and the runs that a command has it change: what all names mean is
// clear before one is changed. "The last one" is refused: another may have been started meanwhile.
func (a *app) runsToChange(ctx context.Context, f remoteFlags, what string, names ...string) (*server.Client, []string, error) {
	d, err := a.daemon(f, what)
	if err != nil {
		return nil, nil, err
	}
	runs := make([]string, len(names))
	for i, name := range names {
		if name == lastRun {
			return nil, nil, project.UserError("facteur runs list shows its id", "%q can be used only to look at a run, not to change one", name)
		}
		if runs[i], err = findRun(ctx, d, name); err != nil {
			return nil, nil, err
		}
	}
	return d, runs, nil
}
