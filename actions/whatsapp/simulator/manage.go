package simulator

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// manage serves the endpoints of accounts, numbers, templates and uploads.
func (s *Simulator) manage(g *graphCall, id, edge, path string) *apiError {
	s.mu.Lock()
	upload := s.world.media.find(id, g.now)
	s.mu.Unlock()
	if edge == "" && upload != nil {
		return s.withoutFault(g, "media", "", func() *apiError { return s.mediaObject(g, upload) })
	}
	switch edge {
	case "":
		return s.withoutFault(g, "number", id, func() *apiError { return s.node(g, id) })
	case "phone_numbers":
		return s.ofAccount(g, id, "numbers", s.phoneNumbers)
	case "message_templates":
		return s.ofAccount(g, id, "templates", s.messageTemplates)
	case "subscribed_apps":
		return s.ofAccount(g, id, "apps", s.subscribedApps)
	case "whatsapp_business_profile":
		return s.withoutFault(g, "number", id, func() *apiError { return s.profile(g, id) })
	case "register", "deregister":
		return s.withoutFault(g, "number", id, func() *apiError { return s.register(g, id, edge) })
	}
	return noPath(path)
}

// withoutFault answers a request unless a fault of its endpoint applies.
func (s *Simulator) withoutFault(g *graphCall, endpoint, number string, answer func() *apiError) *apiError {
	if done, err := s.failRequest(g, endpoint, number); done {
		return err
	}
	return answer()
}

// ofAccount answers an edge of a WABA.
func (s *Simulator) ofAccount(g *graphCall, id, endpoint string, answer func(*graphCall, *account) *apiError) *apiError {
	return s.withoutFault(g, endpoint, "", func() *apiError {
		s.mu.Lock()
		a := s.world.waba(id)
		limit := s.world.limits.management
		tooMany, used := false, 0
		if a != nil {
			tooMany = !a.calls.take(g.now, limit) && limit > 0
			used = a.calls.count
		}
		s.mu.Unlock()
		switch {
		case a == nil || !g.token.sees(a):
			return noObject(g.r.Method, id)
		case tooMany:
			g.waba = a.ID
			return newAPIError(80007, "")
		case !g.token.may(management):
			return newAPIError(200, "")
		}
		g.usage(a.ID, used, limit)
		return answer(g, a)
	})
}

// usage sets the header about the calls that were used of an hour's.
func (g *graphCall) usage(id string, used, limit int) {
	percent := 1
	if limit > 0 {
		percent = 100 * used / limit
	}
	g.w.Header().Set("X-Business-Use-Case-Usage", fmt.Sprintf(`{"%s":[{"type":"whatsapp","call_count":%d,"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":0}]}`, id, percent))
}

// node answers GET /{id} of a number or a WABA.
func (s *Simulator) node(g *graphCall, id string) *apiError {
	if g.r.Method != http.MethodGet {
		return s.changeTemplate(g, id)
	}
	params, err := g.params()
	if err != nil {
		return err
	}
	want := params.text("fields")
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.world.account(id)
	if a == nil && s.world.open && (strings.Contains(want, "message_template_namespace") || strings.Contains(want, "timezone_id") || strings.Contains(want, "currency")) {
		a = s.world.waba(id)
	}
	if a != nil && g.token.sees(a) {
		return s.answerFields(g, "WhatsAppBusinessAccount", want, accountNode(id, a), "id,name,timezone_id,message_template_namespace")
	}
	if t, of := s.world.templateByID(id); t != nil && g.token.sees(of) {
		return s.answerFields(g, "WhatsAppMessageTemplate", want, templateNode(t), "name,parameter_format,components,language,status,category,id")
	}
	if id == s.world.app.ID {
		return s.answerFields(g, "Application", want, []nodeField{{"id", id}, {"name", s.world.app.Name}}, "id,name")
	}
	n := s.world.number(id)
	if n == nil || !g.token.sees(n.account) {
		return noObject("get", id)
	}
	return s.answerFields(g, "WhatsAppBusinessPhoneNumber", want, s.numberNode(n), numberFields)
}

// A nodeField is a field of what an ID stands for.
type nodeField struct {
	Name  string
	Value any
}

const numberFields = "verified_name,code_verification_status,display_phone_number,quality_rating,platform_type,throughput,webhook_configuration,id"

// answerFields answers with the fields that were asked for, or the usual ones.
func (s *Simulator) answerFields(g *graphCall, node, want string, all []nodeField, usual string) *apiError {
	body, err := selected(node, want, all, usual)
	if err != nil {
		return err
	}
	return s.answerText(g, body)
}

func selected(node, want string, all []nodeField, usual string) ([]byte, *apiError) {
	names := strings.Split(cmp.Or(strings.ReplaceAll(want, " ", ""), usual), ",")
	if !slices.Contains(names, "id") {
		names = append(names, "id")
	}
	var b []byte
	b = append(b, '{')
	for _, name := range names {
		name, _, _ = strings.Cut(name, "{")
		name, _, _ = strings.Cut(name, ".")
		if name == "" {
			continue
		}
		i := slices.IndexFunc(all, func(f nodeField) bool { return f.Name == name })
		if i < 0 {
			return nil, invalidParameter(fmt.Sprintf("(#100) Tried accessing nonexisting field (%s) on node type (%s)", name, node))
		}
		if all[i].Value == nil {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(appendText(b, name), ':'), encode(all[i].Value)...)
	}
	return append(b, '}'), nil
}

func accountNode(id string, a *account) []nodeField {
	return []nodeField{
		{"id", id}, {"name", a.Name}, {"timezone_id", "1"}, {"currency", "EUR"}, {"message_template_namespace", namespace(a.ID)},
		{"account_review_status", "APPROVED"}, {"business_verification_status", "verified"}, {"country", "FR"}, {"ownership_type", "CLIENT_OWNED"},
		{"status", "ACTIVE"}, {"marketing_messages_lite_api_status", nil}, {"owner_business_info", map[string]string{"id": a.Business, "name": a.Name}},
		{"health_status", health(a.ID, "WABA", "CONNECTED")},
	}
}

func namespace(id string) string {
	h := linkHash(id, "namespace")
	return strings.ToLower(fmt.Sprintf("%x_%x_%x_%x_%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16]))
}

func (s *Simulator) numberNode(n *number) []nodeField {
	level := "STANDARD"
	if n.Throughput > 80 {
		level = "HIGH"
	}
	mode := "LIVE"
	if n.Test {
		mode = "SANDBOX"
	}
	return []nodeField{
		{"id", n.ID}, {"verified_name", n.Name}, {"display_phone_number", n.Phone}, {"quality_rating", n.Quality}, {"name_status", n.NameStatus}, {"new_name_status", "NONE"},
		{"code_verification_status", "VERIFIED"}, {"status", n.Status}, {"platform_type", "CLOUD_API"}, {"throughput", map[string]string{"level": level}},
		{"account_mode", mode}, {"is_official_business_account", false}, {"is_pin_enabled", true}, {"is_on_biz_app", false}, {"certificate", nil}, {"last_onboarded_time", nil},
		{"messaging_limit_tier", n.account.Tier}, {"whatsapp_business_manager_messaging_limit", n.account.Tier},
		{"webhook_configuration", map[string]string{"application": s.world.webhook.URL}}, {"health_status", health(n.ID, "PHONE_NUMBER", n.Status)},
	}
}

func health(id, kind, status string) any {
	can := "AVAILABLE"
	if status != "CONNECTED" {
		can = "BLOCKED"
	}
	return map[string]any{"can_send_message": can, "entities": []any{map[string]any{"entity_type": kind, "id": id, "can_send_message": can}}}
}

// phoneNumbers answers GET /{waba_id}/phone_numbers.
func (s *Simulator) phoneNumbers(g *graphCall, a *account) *apiError {
	if g.r.Method != http.MethodGet {
		return noObject(g.r.Method, a.ID)
	}
	params, err := g.params()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.page(g, params, len(a.numbers), func(i int) ([]byte, *apiError) {
		return selected("WhatsAppBusinessPhoneNumber", params.text("fields"), s.numberNode(a.numbers[i]), numberFields)
	})
}

// page answers with a page of a list, and the cursors to the others.
func (s *Simulator) page(g *graphCall, params fields, n int, item func(int) ([]byte, *apiError)) *apiError {
	limit, err := strconv.Atoi(cmp.Or(params.text("limit"), "25"))
	if err != nil || limit < 1 {
		return invalidParameter("(#100) Param limit must be a positive integer")
	}
	limit = min(limit, 1000)
	from, ok := 0, true
	if after := params.text("after"); after != "" {
		from, ok = readCursor(after)
		from++
	} else if before := params.text("before"); before != "" {
		from, ok = readCursor(before)
		from = max(0, from-limit)
	}
	if !ok || from > n {
		return newAPIError(131059, "The cursor is invalid or has expired.")
	}
	to := min(n, from+limit)
	type cursors struct {
		Before string `json:"before"`
		After  string `json:"after"`
	}
	type paging struct {
		Cursors  cursors `json:"cursors"`
		Next     string  `json:"next,omitempty"`
		Previous string  `json:"previous,omitempty"`
	}
	out := struct {
		Data   []json.RawMessage `json:"data"`
		Paging *paging           `json:"paging,omitempty"`
	}{Data: []json.RawMessage{}}
	for i := from; i < to; i++ {
		text, err := item(i)
		if err != nil {
			return err
		}
		out.Data = append(out.Data, text)
	}
	if to > from {
		out.Paging = &paging{Cursors: cursors{cursor(from), cursor(to - 1)}}
		if to < n {
			out.Paging.Next = g.pageLink("after", out.Paging.Cursors.After, limit)
		}
		if from > 0 {
			out.Paging.Previous = g.pageLink("before", out.Paging.Cursors.Before, limit)
		}
	}
	return s.answer(g, out)
}

func (g *graphCall) pageLink(name, cursor string, limit int) string {
	q := g.r.URL.Query()
	q.Del("after")
	q.Del("before")
	q.Set(name, cursor)
	q.Set("limit", strconv.Itoa(limit))
	scheme := "http"
	if g.r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + g.r.Host + g.r.URL.Path + "?" + q.Encode()
}

func cursor(i int) string {
	return base64.RawURLEncoding.EncodeToString([]byte("c"+strconv.Itoa(i))) + "ZD"
}

func readCursor(text string) (int, bool) {
	inside, ok := strings.CutSuffix(text, "ZD")
	b, err := base64.RawURLEncoding.DecodeString(inside)
	if !ok || err != nil || len(b) < 2 || b[0] != 'c' {
		return 0, false
	}
	i, err := strconv.Atoi(string(b[1:]))
	return i, err == nil && i >= 0
}

// subscribedApps answers /{waba_id}/subscribed_apps.
func (s *Simulator) subscribedApps(g *graphCall, a *account) *apiError {
	params, err := g.params()
	if err != nil {
		return err
	}
	switch g.r.Method {
	case http.MethodGet:
		s.mu.Lock()
		defer s.mu.Unlock()
		data := []any{}
		if a.apps {
			app := map[string]any{"whatsapp_business_api_data": map[string]any{"id": s.world.app.ID, "name": s.world.app.Name, "link": "https://www.facebook.com/games/?app_id=" + s.world.app.ID}}
			if a.Webhook != nil {
				app["override_callback_uri"] = a.Webhook.URL
			}
			data = append(data, app)
		}
		return s.answer(g, map[string]any{"data": data})
	case http.MethodPost:
		var own *Webhook
		if uri := params.text("override_callback_uri"); uri != "" {
			own = &Webhook{URL: uri, VerifyToken: params.text("verify_token")}
			ctx, stop := context.WithTimeout(g.r.Context(), 10*time.Second)
			defer stop()
			if err := s.handshake(ctx, *own); err != nil {
				r := invalidParameter("(#2200) Callback verification failed: " + err.Error())
				r.code = 2200
				return r
			}
		}
		s.mu.Lock()
		a.apps, a.Webhook = true, own
		s.mu.Unlock()
	case http.MethodDelete:
		s.mu.Lock()
		a.apps, a.Webhook = false, nil
		s.mu.Unlock()
	default:
		return noObject(g.r.Method, a.ID)
	}
	return s.answerText(g, []byte(`{"success":true}`))
}

// register answers POST /{phone_number_id}/register and deregister.
func (s *Simulator) register(g *graphCall, id, edge string) *apiError {
	params, err := g.params()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.world.number(id)
	switch pin := params.text("pin"); {
	case n == nil || !g.token.sees(n.account) || g.r.Method != http.MethodPost:
		return noObject(g.r.Method, id)
	case edge == "register" && params.text("messaging_product") != "whatsapp":
		return missingParameter("messaging_product")
	case edge == "register" && (len(pin) != 6 || digits(pin) != pin):
		return invalidParameter("(#100) Param pin must be 6 characters long.")
	case edge == "register":
		n.Status = "CONNECTED"
	default:
		n.Status = "DISCONNECTED"
	}
	return s.answerText(g, []byte(`{"success":true}`))
}

// debugToken answers GET /debug_token.
func (s *Simulator) debugToken(g *graphCall) *apiError {
	q := g.r.URL.Query()
	input := q.Get("input_token")
	bearer, _ := strings.CutPrefix(g.r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	f := pick(s.faults, target{"token", "", "", ""}, s.random)
	if f != nil && f.Do == Error {
		return f.apiError()
	}
	w := &s.world
	asks := cmp.Or(q.Get("access_token"), bearer)
	switch app, secret, _ := strings.Cut(asks, "|"); {
	case asks == "":
		return newAPIError(104, "")
	case app == w.app.ID && secret == w.app.Secret:
	default:
		if _, err := w.token(asks, g.now); err != nil {
			return err
		}
	}
	if input == "" {
		return missingParameter("input_token")
	}
	t, bad := w.token(input, g.now)
	if t == nil && bad != nil {
		return s.answer(g, map[string]any{"data": map[string]any{"is_valid": false, "scopes": []string{},
			"error": map[string]any{"code": 190, "message": "Invalid OAuth access token."}}})
	}
	if t == nil { // any is good
		t = &Token{}
	}
	var expires int64
	if !t.Expires.IsZero() {
		expires = t.Expires.Unix()
	}
	ids := t.Accounts
	if len(ids) == 0 {
		for _, a := range w.accounts {
			ids = append(ids, a.ID)
		}
	}
	granular := []any{}
	for _, scope := range t.scopes() {
		granular = append(granular, map[string]any{"scope": scope, "target_ids": ids})
	}
	data := map[string]any{
		"app_id": w.app.ID, "type": "SYSTEM_USER", "application": w.app.Name, "is_valid": bad == nil, "expires_at": expires, "data_access_expires_at": 0,
		"scopes": t.scopes(), "granular_scopes": granular, "user_id": hashID("user", w.app.ID),
	}
	if bad != nil {
		data["error"] = map[string]any{"code": 190, "message": bad.message, "subcode": bad.subcode}
	}
	return s.answer(g, map[string]any{"data": data})
}
