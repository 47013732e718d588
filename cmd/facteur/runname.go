package main

import (
	"context"
	"strings"

	"facteur/server"
)

const (
	wholeID   = 26     // letters of a run's id
	leastPart = 6      // letters that a part of one has at least
	mostNamed = 10_000 // of the latest runs, that a part of an id is looked for among
	lastRun   = "last"
)

// namingRuns is how runs are named, for help texts.
const namingRuns = `RUN is an id, or at least 6 letters of its beginning or its end: ids that begin alike are of
runs that started about the same time.`

// findRun returns the id of a run that is named by it, by a part of it, or as the last one
// that started. What names none is returned as it is.
func findRun(ctx context.Context, r runReader, name string) (string, error) {
	q := server.Query{Limit: 1000}
	switch {
	case name == lastRun:
		q.Limit = 1
		list, err := r.Runs(ctx, q)
		if err == nil && len(list.Runs) == 0 {
			err = wrong("", "there are no runs yet")
		}
		if err != nil {
			return "", err
		}
		return list.Runs[0].RunID, nil
	case len(name) < leastPart || len(name) >= wholeID:
		return name, nil
	}
	var found []server.Run
	for seen := 0; seen < mostNamed; {
		list, err := r.Runs(ctx, q)
		if err != nil {
			return "", err
		}
		for _, run := range list.Runs {
			if run.RunID == name {
				return name, nil
			}
			if strings.HasPrefix(run.RunID, name) || strings.HasSuffix(run.RunID, name) {
				found = append(found, run)
			}
		}
		seen += len(list.Runs)
		if q.Cursor = list.Next; q.Cursor == "" {
			break
		}
	}
	switch len(found) {
	case 0:
		return name, nil
	case 1:
		return found[0].RunID, nil
	}
	return "", wrong("give more letters, or its end", "%s can be any of %s", name, several(found))
}

// several names runs, the latest first, and not all of many.
func several(runs []server.Run) string {
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

// changing finds the run that a command changes. Which was the last to start may have
// changed meanwhile, so that it must be named.
func changing(ctx context.Context, d *server.Client, name string) (string, error) {
	if name == lastRun {
		return "", wrong("facteur runs list shows its id", "%q names a run to look at, not one to change", name)
	}
	id, err := findRun(ctx, d, name)
	return id, remoteError(err)
}
