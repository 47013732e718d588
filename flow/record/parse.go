package record

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/schema"
)

// Parse parses a recording: a YAML file with a list of exchanges under the key "exchanges". It
// returns what it understood even if there are errors.
func Parse(name string, text []byte) ([]*Exchange, diag.List) {
	n, diags := flow.ParseValue(name, text)
	if n == nil {
		if isHAR(text) {
			diags = nil // its errors as YAML do not matter
			diags.Errorf("not-a-recording", diag.Range{Source: diag.NewSource(name, text)}, formatHint, "this is not a Facteur recording, but a HAR file")
		}
		return nil, diags
	}
	if exchanges := n.Get("exchanges"); n.Kind == flow.MapNode && exchanges != nil {
		p := parser{diags: diags}
		p.keys(n, "keys of a recording", "exchanges")
		list := p.exchanges(exchanges)
		p.diags.Sort()
		return list, p.diags
	}
	message, hint := otherFormat(n)
	diags.Errorf("not-a-recording", firstRange(n), hint, "this is not a Facteur recording%s", message)
	return nil, diags
}

// ParseNode parses the list under `exchanges:` of a test case.
func ParseNode(n *flow.Node) ([]*Exchange, diag.List) {
	if n == nil {
		return nil, nil
	}
	var p parser
	list := p.exchanges(n)
	p.diags.Sort()
	return list, p.diags
}

// ParseMatcher parses the matcher of a value, as under `json` of a request.
func ParseMatcher(n *flow.Node) (Matcher, diag.List) {
	var p parser
	m := p.matcher(n, false)
	p.diags.Sort()
	return m, p.diags
}

// firstRange is the range of the first key of a map, because that of the whole file says
// little.
func firstRange(n *flow.Node) diag.Range {
	if n.Kind == flow.MapNode && len(n.Entries) > 0 {
		return n.Entries[0].Key.Whole
	}
	return n.Range
}

const formatHint = `a recording has a list of {step, request, response} under "exchanges"; write one with "facteur test --record"`

// isHAR recognises a HAR file that cannot be parsed, for instance because of its size.
func isHAR(text []byte) bool {
	head := text[:min(len(text), 4096)]
	return bytes.HasPrefix(bytes.TrimSpace(head), []byte("{")) && bytes.Contains(head, []byte(`"log"`)) && bytes.Contains(head, []byte(`"creator"`))
}

// otherFormat says which other format a file seems to have.
func otherFormat(n *flow.Node) (message, hint string) {
	switch {
	case n.Get("log").Get("entries") != nil:
		return ", but a HAR file", formatHint
	case n.Get("interactions") != nil || n.Get("http_interactions") != nil:
		return ", but a cassette of another tool", formatHint
	case n.Get("cases") != nil:
		return ", but a flow test", "run it with \"facteur test\", or move the exchanges of one case to a file of their own"
	case n.Get("steps") != nil:
		return ", but a flow", formatHint
	case n.Kind == flow.ListNode:
		return ", but a list", "put the list under the key \"exchanges\""
	case n.Get("request") != nil || n.Get("response") != nil:
		return ", but a single exchange", "put it in a list under the key \"exchanges\""
	}
	if n.Kind != flow.MapNode {
		message = ", but " + n.Kind.Noun()
	}
	return message, formatHint
}

type parser struct{ diags diag.List }

func (p *parser) exchanges(n *flow.Node) []*Exchange {
	if !p.requireKind(n, flow.ListNode, "exchanges") {
		return nil
	}
	var list []*Exchange
	var before *Request
	for _, item := range n.Items {
		if x := p.exchange(item, before); x != nil {
			list = append(list, x)
			before = &x.Request
		}
	}
	return list
}

// maxTimes bounds how many requests an exchange answers.
const maxTimes = 100_000

func (p *parser) exchange(n *flow.Node, before *Request) *Exchange {
	if !p.requireKind(n, flow.MapNode, "an exchange") {
		return nil
	}
	p.keys(n, "keys of an exchange", "step", "times", "request", "response")
	x := &Exchange{Range: n.Range}
	x.Step, _ = p.text(n.Get("step"), "step")
	if times := n.Get("times"); times != nil && p.requireKind(times, flow.IntNode, "times") {
		count, _ := times.Value.(int64)
		if count < 1 || count > maxTimes {
			p.diags.Errorf("recording-bad-value", times.Range, "remove the exchange if it is not used", "times must be from 1 to %d", maxTimes)
		}
		x.Times = int(count)
	}
	request, response := n.Get("request"), n.Get("response")
	switch {
	case request == nil:
		p.diags.Errorf("recording-missing-key", firstRange(n), `write what is sent, such as request: {method: POST, path: /…, json: {…}}`, "the exchange has no request")
	case request.Kind == flow.TextNode && request.Text.Value == "same":
		if before == nil {
			p.diags.Errorf("recording-bad-value", request.Range, "write the request out", `"request: same" repeats the request before it, but there is none`)
			break
		}
		x.Request = *before
	default:
		p.request(request, &x.Request)
	}
	if response == nil {
		p.diags.Errorf("recording-missing-key", firstRange(n), `write what is answered, such as response: {status: 200, json: {…}}`, "the exchange has no response")
	} else {
		p.response(response, &x.Response)
		x.Response.encoded = x.Response.encode()
	}
	return x
}

func (p *parser) request(n *flow.Node, r *Request) {
	if n.Kind == flow.TextNode {
		p.diags.Errorf("recording-wrong-kind", n.Range, `the only text that is allowed here is "same"`, "request must be a map, not %q", n.Text.Value)
		return
	}
	if !p.requireKind(n, flow.MapNode, "request") {
		return
	}
	p.keys(n, "keys of a request", "method", "path", "url", "query", "headers", "json", "text", "form")
	if m, ok := p.text(n.Get("method"), "method"); ok {
		r.Method = strings.ToUpper(m)
		if m == "" || strings.ContainsFunc(m, func(c rune) bool { return c > 'z' || c < 'A' || c > 'Z' && c < 'a' }) {
			p.diags.Errorf("recording-bad-value", n.Get("method").Range, "write one such as GET or POST", "%q is not an HTTP method", m)
		}
	}
	p.target(n, r)
	if q := n.Get("query"); q != nil {
		if r.Query != nil {
			p.diags.Errorf("recording-conflict", q.Range, "write the query in only one of the two places", "the query is also in the url or path")
		}
		r.Query = p.texts(q, "query")
	}
	if h := n.Get("headers"); h != nil {
		r.Headers = p.headers(h)
	}
	switch p.exclusiveKey(n, "json", "text", "form") {
	case "json":
		r.JSON = p.matcher(n.Get("json"), false)
	case "text":
		r.Text = p.scalar(n.Get("text"), "text")
	case "form":
		r.Form = p.texts(n.Get("form"), "form")
	case "":
		if r.Method == "" {
			r.Method = http.MethodGet
		}
	}
	if r.Method == "" {
		r.Method = http.MethodPost
	}
}

// target parses path or url, and the query in it.
func (p *parser) target(n *flow.Node, r *Request) {
	key := p.exclusiveKey(n, "path", "url")
	if key == "" {
		p.diags.Errorf("recording-missing-key", firstRange(n), "write path: /… for any host, or url: https://… for that host", "the request has neither path nor url")
		return
	}
	node := n.Get(key)
	text, ok := p.text(node, key)
	if !ok {
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		p.diags.Errorf("recording-bad-value", node.Range, "", "%s is not valid: %q", key, text)
		return
	case key == "path" && (u.Host != "" || u.Scheme != ""):
		p.diags.Errorf("recording-bad-value", node.Range, "write it as url:", "path has a host")
		return
	case key == "path" && !strings.HasPrefix(text, "/"):
		p.diags.Errorf("recording-bad-value", node.Range, "write path: /"+text, "path does not start with \"/\"")
		return
	case key == "url" && (u.Host == "" || u.Scheme != "http" && u.Scheme != "https"):
		p.diags.Errorf("recording-bad-value", node.Range, "write https://host/path, or path: for any host", "url is not absolute: %q", text)
		return
	case key == "url":
		r.Host = strings.ToLower(u.Scheme + "://" + u.Host)
	}
	r.Path = u.EscapedPath()
	if r.Path == "" {
		r.Path = "/"
	}
	if u.RawQuery == "" {
		return
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		p.diags.Errorf("recording-bad-value", node.Range, "write it under query:", "the query of %s cannot be read", key)
	}
	var m object
	for name, texts := range values {
		m.fields = append(m.fields, field{name, literalOf(oneOrAll(texts))})
	}
	slices.SortFunc(m.fields, func(a, b field) int { return strings.Compare(a.key, b.key) })
	r.Query = m
}

func (p *parser) response(n *flow.Node, r *Response) {
	if !p.requireKind(n, flow.MapNode, "response") {
		return
	}
	p.keys(n, "keys of a response", "status", "headers", "json", "text", "html", "lost", "delay", "truncated")
	if d, ok := p.text(n.Get("delay"), "delay"); ok {
		delay, err := schema.ParseDuration(d)
		if err != nil || delay < 0 {
			p.diags.Errorf("recording-bad-value", n.Get("delay").Range, `write one such as "2s"`, "delay is not a duration: %q", d)
		} else {
			r.Delay = delay
		}
	}
	if lost := n.Get("lost"); lost != nil {
		r.Lost, _ = p.text(lost, "lost")
		if known := []string{LostTimeout, LostReset}; r.Lost != "" && !slices.Contains(known, r.Lost) {
			p.diags.Errorf("recording-bad-value", lost.Range, diag.DidYouMean(r.Lost, "ways", known), "an answer cannot be lost with %q", r.Lost)
		}
		for _, e := range n.Entries {
			if k := e.Key.Value; k != "lost" && k != "delay" {
				p.diags.Errorf("recording-conflict", e.Key.Whole, "remove it: a lost answer can have only a delay", "%q is not allowed beside \"lost\"", k)
			}
		}
		return
	}
	r.Status = http.StatusOK
	if s := n.Get("status"); s != nil && p.requireKind(s, flow.IntNode, "status") {
		status, _ := s.Value.(int64)
		if status < 100 || status > 599 {
			p.diags.Errorf("recording-bad-value", s.Range, "an HTTP status is from 100 to 599", "there is no status %s", s.Text.Value)
		}
		r.Status = int(status)
	}
	if h := n.Get("headers"); h != nil && p.requireKind(h, flow.MapNode, "headers") {
		r.Headers = make(map[string]string, len(h.Entries))
		for _, e := range h.Entries {
			if v, ok := p.text(e.Value, "header "+e.Key.Value); ok {
				r.Headers[http.CanonicalHeaderKey(e.Key.Value)] = v
			}
		}
	}
	switch p.exclusiveKey(n, "json", "text", "html") {
	case "json":
		if r.JSON = n.Get("json").Plain(nil); n.Get("json").Kind == flow.NullNode {
			p.diags.Errorf("recording-wrong-kind", n.Get("json").Range, `remove json for an answer without a body; for JSON null, write text: "null"`, "json has no value")
		}
	case "text":
		r.Text, _ = p.text(n.Get("text"), "text")
	case "html":
		r.HTML, _ = p.text(n.Get("html"), "html")
	}
	if t := n.Get("truncated"); t != nil && p.requireKind(t, flow.BoolNode, "truncated") {
		r.Truncated, _ = t.Value.(bool)
	}
}

// requireKind reports a node of another kind.
func (p *parser) requireKind(n *flow.Node, want flow.NodeKind, what string) bool {
	if n.Kind != want {
		p.diags.Errorf("recording-wrong-kind", n.Range, "", "%s must be %s, not %s", what, want.Noun(), n.Kind.Noun())
		return false
	}
	return true
}

// keys reports unknown keys of a map.
func (p *parser) keys(n *flow.Node, what string, known ...string) {
	for _, e := range n.Entries {
		if !slices.Contains(known, e.Key.Value) {
			hint := diag.DidYouMean(e.Key.Value, what, known)
			if slices.Contains([]string{"body", "data", "payload"}, e.Key.Value) && slices.Contains(known, "json") {
				hint = "write json: for a JSON body, text: for any other"
			}
			p.diags.Errorf("recording-unknown-key", e.Key.Whole, hint, "unknown key %q", e.Key.Value)
		}
	}
}

// exclusiveKey returns the only one of the keys that the map has, "" for none, and reports
// others.
func (p *parser) exclusiveKey(n *flow.Node, keys ...string) (found string) {
	for _, e := range n.Entries {
		if !slices.Contains(keys, e.Key.Value) {
			continue
		}
		if found != "" {
			p.diags.Errorf("recording-conflict", e.Key.Whole, "keep one of them", "%q and %q exclude each other", e.Key.Value, found)
			continue
		}
		found = e.Key.Value
	}
	return found
}

// text returns a scalar as written, so that 012 keeps its digits.
func (p *parser) text(n *flow.Node, what string) (string, bool) {
	if n == nil {
		return "", false
	}
	switch n.Kind {
	case flow.ListNode, flow.MapNode, flow.NullNode:
		p.requireKind(n, flow.TextNode, what)
		return "", false
	}
	return n.Text.Value, true
}

// number returns a number in the form in which matchers compare it.
func number(v any) json.Number {
	text, _ := schema.AppendJSON(nil, v) // the numbers of flows are those of JSON
	return json.Number(text)
}
