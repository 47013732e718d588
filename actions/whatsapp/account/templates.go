package account

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/graph"
	"facteur/actions/whatsapp/templates"
	"facteur/flow/schema"
	"facteur/vault"
)

// What a pull asks for, and how much it takes.
const (
	templateFields = "name,language,status,category,parameter_format,components,rejected_reason"
	templatesAPage = 100
	mostTemplates  = 10_000 // an account has 6,000 at most
	mostRestarts   = 3
	invalidCursor  = 131059
	tooMuchData    = 1 // "Please reduce the amount of data you're asking for"
)

// PullTemplates reads all templates of a connection's account, sorted by name and
// language. A nil client is one of its own. Its error is a *PullError.
func PullTemplates(ctx context.Context, client *http.Client, c vault.Connection) (*templates.Set, error) {
	account, err := whatsapp.Connect(c)
	switch {
	case err != nil:
		return nil, &PullError{Problem: err.Error()}
	case c.App != vault.WhatsApp:
		return nil, &PullError{Problem: fmt.Sprintf("the connection %s is for %s", c.Name, c.App), Hint: "name a connection of app WHATSAPP"}
	case account.Token.IsZero():
		return nil, &PullError{Problem: "the connection " + c.Name + " has no token", Hint: "store it: facteur vault set " + c.Name}
	case account.WABA == "":
		return nil, &PullError{Problem: "the connection " + c.Name + " has no waba_id, so it is not known which account's templates to read",
			Hint: "store it: facteur vault set " + c.Name + " waba_id=…"}
	}
	p := puller{ctx: ctx, api: api{whatsapp.Options{Client: client}.HTTP(), account}, redact: actions.RedactSecrets(&c), size: templatesAPage}
	for {
		all, err := p.readAll()
		if err == nil {
			return all, nil
		}
		bad, _ := errors.AsType[*PullError](err)
		switch again := bad != nil && p.restarts < mostRestarts; {
		case again && bad.Code == invalidCursor && p.paged:
		case again && bad.Code == tooMuchData && p.size > 10:
			p.size /= 4
		default:
			return nil, err
		}
		p.restarts++
	}
}

// A PullError says why the templates could not be read.
type PullError struct {
	Problem string
	Hint    string
	Code    int64 // Meta's, where Meta said so
}

func (e *PullError) Error() string {
	if e.Hint == "" {
		return e.Problem
	}
	return e.Problem + "; " + e.Hint
}

type puller struct {
	ctx context.Context
	api
	redact   func(text string) string // an answer may repeat the token
	size     int
	paged    bool // a cursor was used
	restarts int
}

// readAll reads page after page, from the first.
func (p *puller) readAll() (*templates.Set, error) {
	found := map[string]*templates.Definition{} // one may come twice, as when another was added between two pages
	p.paged = false
	read, seen := 0, map[string]bool{}
	for cursor := ""; ; {
		v, err := p.page(cursor)
		if err != nil {
			return nil, err
		}
		items := v.Get("data").Items()
		if read += len(items); read > mostTemplates {
			return nil, &PullError{Problem: fmt.Sprintf("the API returned more than %d templates, which no account has", mostTemplates)}
		}
		for _, item := range items {
			text, _ := schema.AppendJSON(nil, item.Any()) // it was read from JSON
			d, err := templates.Read(text)
			if err != nil {
				continue // nothing that could be sent
			}
			d.Connection = p.account.Name
			found[d.FileName()] = d
		}
		next, _ := v.Get("paging", "cursors", "after").Text()
		if more, _ := v.Get("paging", "next").Text(); more == "" || next == "" {
			break
		}
		if seen[next] {
			return nil, &PullError{Problem: "the API keeps returning the same page of templates", Hint: "try again later"}
		}
		seen[next] = true
		cursor, p.paged = next, true
	}
	t, err := templates.NewSet(slices.Collect(maps.Values(found)))
	if err != nil {
		return nil, &PullError{Problem: err.Error()}
	}
	return t, nil
}

func (p *puller) page(cursor string) (v schema.Value, err error) {
	query := url.Values{"fields": {templateFields}, "limit": {strconv.Itoa(p.size)}}
	if cursor != "" {
		query.Set("after", cursor)
	}
	const most = 32 << 20 // pages of templates are longer than other answers
	v, err = p.do(p.ctx, http.MethodGet, "/"+url.PathEscape(p.account.WABA)+"/message_templates?"+query.Encode(), nil, most)
	refused, isRefused := errors.AsType[*apiError](err)
	_, isOther := errors.AsType[*unexpectedServer](err)
	switch {
	case isRefused:
		return v, p.pullError(refused)
	case isOther:
		return v, &PullError{Problem: err.Error(), Hint: "check the connection's base_url, and any proxy"}
	case errors.Is(err, errAddress):
		return v, &PullError{Problem: err.Error(), Hint: "correct base_url"}
	case err != nil:
		return v, &PullError{Problem: p.redact(err.Error()), Hint: help(err, "check the network")}
	}
	if _, ok := v.Get("data").List(); !ok {
		return v, &PullError{Problem: "the answer contains no templates: " + p.account.WABA + " is not a WhatsApp Business Account", Hint: "use the WhatsApp Business Account ID from WhatsApp Manager"}
	}
	return v, nil
}

func (p *puller) pullError(e *apiError) error {
	bad := &PullError{Code: e.cause.Code, Hint: graph.Classify(e.cause).Cure}
	bad.Problem = p.redact("Meta refuses to give the templates: " + e.Error())
	if e.cause.Details != "" {
		bad.Problem += ": " + p.redact(e.cause.Details)
	}
	if e.cause.Code == 100 || e.cause.Code == 803 {
		bad.Hint = "check the connection's waba_id: it must be the ID of the WhatsApp Business Account, not the portfolio's, and the token's user needs access to the account"
	}
	if e.wait > 0 {
		bad.Hint = fmt.Sprintf("wait %s, then try again", e.wait.Round(time.Second))
	}
	return bad
}
