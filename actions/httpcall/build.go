package httpcall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"facteur/actions"
	"facteur/flow/call"
	"facteur/flow/schema"

	"golang.org/x/net/http/httpguts"
)

func invalid(format string, args ...any) error {
	return actions.Permanent(&call.Error{Code: "invalid_input", Class: "permanent", Message: fmt.Sprintf(format, args...)})
}

// build makes the request, or says why there can be none.
func (r requester) build(ctx context.Context, k *credentials, in Input) (*http.Request, error) {
	u, err := parseURL(in.URL)
	if err != nil {
		return nil, invalid("url: %v", err)
	}
	if u, err = k.resolve(u); err != nil {
		return nil, invalid("url: %v", err)
	}
	if u.Host == "" {
		return nil, invalid("url: it has no host, and there is no connection with a base_url: write https://host/path")
	}
	if e := r.policy.refusal(u); e != nil {
		return nil, actions.Permanent(e)
	}
	if len(in.Query) > 0 {
		query, err := values(in.Query)
		if err != nil {
			return nil, invalid("query: %v", err)
		}
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += query.Encode()
	}
	body, kind, err := in.body()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, in.Method, u.String(), body)
	if err != nil {
		return nil, invalid("url: it is not a valid address")
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	req.Header.Set("User-Agent", "facteur")
	for name, value := range in.Headers {
		if problem := badHeader(name, value, k); problem != "" {
			return nil, invalid("headers: %s", problem)
		}
		req.Header.Set(name, value)
	}
	k.add(req)
	return req, nil
}

// parseURL reads an address. Its errors do not repeat it, because it may hold secrets.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil:
		return nil, errors.New("it is not an address: write https://host/path")
	case u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the scheme is %s, but only http and https are supported", u.Scheme)
	case u.Scheme == "" && u.Host != "", u.Scheme != "" && u.Host == "":
		return nil, errors.New("it is not an address: write https://host/path")
	case u.User != nil:
		return nil, errors.New("it contains credentials: store them in a connection (facteur vault set)")
	}
	u.Fragment = ""
	return u, nil
}

const allowHelp = "add it to http.allow_hosts in the project file"

// refusal tells why the policy does not allow an address; nil if it does.
func (p Policy) refusal(u *url.URL) *call.Error {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if len(p.AllowHosts) == 0 || p.lists(u.Hostname(), port) {
		return nil
	}
	return &call.Error{
		Code: "host_refused", Class: "policy",
		Message: fmt.Sprintf("flows may not call the host %s", u.Host),
		Details: map[string]any{"help": allowHelp},
	}
}

// redirect decides about each hop. The credentials stay with the host that they were
// meant for, and with its scheme and port.
func (r requester) redirect(k *credentials, follow bool) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if !follow {
			return http.ErrUseLastResponse
		}
		if len(via) > 5 {
			return astray(&call.Error{Code: "redirects", Class: "answer", Message: via[0].URL.Hostname() + " redirects more than 5 times"})
		}
		first := via[0].URL
		switch {
		case req.URL.Scheme != "http" && req.URL.Scheme != "https", req.URL.Scheme == "http" && first.Scheme == "https":
			return astray(&call.Error{Code: "redirects", Class: "answer", Message: first.Hostname() + " redirects from https to " + req.URL.Scheme + ", which is not followed"})
		case req.URL.User != nil:
			req.URL.User = nil
		}
		if !strings.EqualFold(req.URL.Host, first.Host) || req.URL.Scheme != first.Scheme {
			k.remove(req)
		}
		if e := r.policy.refusal(req.URL); e != nil {
			return astray(e)
		}
		return nil
	}
}

// astray is the failure of a redirect: the first host may have done its part.
func astray(e *call.Error) error {
	return &actions.Failure{Status: call.Unknown, Err: e, Final: true}
}

// body returns the body and its content type.
func (in Input) body() (io.Reader, string, error) {
	given := 0
	for _, there := range []bool{in.JSON != nil, in.Form != nil, in.Text != nil} {
		if there {
			given++
		}
	}
	switch {
	case given > 1:
		return nil, "", invalid("there are several bodies: give one of json, form and text")
	case given == 1 && (in.Method == "GET" || in.Method == "HEAD"):
		return nil, "", invalid("a %s request takes no body: set method to POST, or put the values into query", in.Method)
	case in.JSON != nil:
		b, err := schema.AppendJSON(nil, in.JSON)
		if err != nil {
			return nil, "", invalid("json: %v", err)
		}
		return bytes.NewReader(b), "application/json", nil
	case in.Form != nil:
		form, err := values(in.Form)
		if err != nil {
			return nil, "", invalid("form: %v", err)
		}
		return strings.NewReader(form.Encode()), "application/x-www-form-urlencoded", nil
	case in.Text != nil:
		return strings.NewReader(*in.Text), "text/plain; charset=utf-8", nil
	}
	return nil, "", nil
}

// values turns an object of single values, or lists of them, into a query or form.
func values(object map[string]any) (url.Values, error) {
	out := url.Values{}
	for name, v := range object {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, item := range list {
			switch item := item.(type) {
			case nil:
			case string:
				out.Add(name, item)
			case bool:
				out.Add(name, strconv.FormatBool(item))
			case int64:
				out.Add(name, strconv.FormatInt(item, 10))
			case float64:
				out.Add(name, strconv.FormatFloat(item, 'f', -1, 64))
			case map[string]any, []any:
				return nil, fmt.Errorf("%q contains a list or an object; use json(…) to write it as text", name)
			default:
				b, err := schema.AppendJSON(nil, item) // a time or a duration
				if err != nil {
					return nil, err
				}
				out.Add(name, strings.Trim(string(b), `"`))
			}
		}
	}
	return out, nil
}

// badHeader tells what is wrong with a header.
func badHeader(name, value string, k *credentials) string {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return strconv.Quote(name) + " is not the name of a header"
	case !httpguts.ValidHeaderFieldValue(value):
		return "the value of " + name + " contains a line break or another control character"
	case slices.Contains([]string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Te", "Trailer", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection"}, http.CanonicalHeaderKey(name)):
		return name + " is set by facteur and cannot be set by flows"
	case k != nil && strings.EqualFold(name, k.header):
		return name + " is set by the connection: leave it out"
	}
	return ""
}
