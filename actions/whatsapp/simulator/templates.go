package simulator

import (
	"cmp"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"facteur/actions/whatsapp/templates"
)

func (w *world) templateByID(id string) (*template, *account) {
	for _, a := range w.accounts {
		for _, t := range a.templates {
			if t.id == id {
				return t, a
			}
		}
	}
	return nil, nil
}

func templateNode(t *template) []nodeField {
	format := cmp.Or(t.def.ParameterFormat, "POSITIONAL")
	return []nodeField{
		{"name", t.def.Name}, {"parameter_format", format}, {"components", t.def.Components}, {"language", t.def.Language}, {"status", t.status},
		{"category", t.def.Category}, {"id", t.id}, {"rejected_reason", cmp.Or(t.def.RejectedReason, "NONE")},
		{"quality_score", map[string]any{"score": t.quality, "date": t.created.Unix()}}, {"previous_category", nil}, {"sub_category", nil},
		{"message_send_ttl_seconds", nil}, {"library_template_name", nil}, {"cta_url_link_tracking_opted_out", nil}, {"correct_category", nil},
		{"last_updated_time", t.created.UTC().Format("2006-01-02T15:04:05-0700")}, {"health_status", health(t.id, "MESSAGE_TEMPLATE", connectedIf(t.status == templates.Approved))},
	}
}

func connectedIf(ok bool) string {
	if ok {
		return "CONNECTED"
	}
	return "DISCONNECTED"
}

const templateFields = "name,parameter_format,components,language,status,category,id"

// messageTemplates answers /{waba_id}/message_templates.
func (s *Simulator) messageTemplates(g *graphCall, a *account) *apiError {
	params, err := g.params()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch g.r.Method {
	case http.MethodGet:
		return s.listTemplates(g, a, params)
	case http.MethodPost:
		return s.createTemplate(g, a, params)
	case http.MethodDelete:
		return s.deleteTemplates(g, a, params)
	}
	return noObject(g.r.Method, a.ID)
}

func (s *Simulator) listTemplates(g *graphCall, a *account, params fields) *apiError {
	var found []*template
	matches := func(name, value string) bool {
		want := params.text(name)
		return want == "" || strings.EqualFold(strings.Trim(want, `[]"`), value)
	}
	for _, t := range a.templates {
		if matches("name", t.def.Name) && matches("status", t.status) && matches("language", t.def.Language) && matches("category", t.def.Category) &&
			strings.Contains(t.def.Name, params.text("name_or_content")) {
			found = append(found, t)
		}
	}
	return s.page(g, params, len(found), func(i int) ([]byte, *apiError) {
		return selected("WhatsAppMessageTemplate", params.text("fields"), templateNode(found[i]), templateFields)
	})
}

// reviewTime is how long the review of a new template takes.
const reviewTime = 2 * time.Second

const maxTemplates = 6000

func (s *Simulator) createTemplate(g *graphCall, a *account, params fields) *apiError {
	for _, name := range []string{"name", "language", "category"} {
		if params.text(name) == "" {
			return missingParameter(name)
		}
	}
	wrongTemplate := func(subcode int64, title, advice string) *apiError {
		return &apiError{status: http.StatusBadRequest, kind: oauth, code: 100, subcode: subcode, message: "Invalid parameter", title: title, advice: advice}
	}
	name, language, category := params.text("name"), params.text("language"), strings.ToUpper(params.text("category"))
	switch {
	case len(name) > 512 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "":
		return wrongTemplate(2388040, "Template name is invalid", "Message template \"name\" can only have lowercase letters, numbers and underscores.")
	case !slices.Contains([]string{"AUTHENTICATION", "MARKETING", "UTILITY"}, category):
		return invalidParameter(fmt.Sprintf("(#100) Param category must be one of {AUTHENTICATION, MARKETING, UTILITY} - got %q.", params.text("category")))
	case a.template(name, language) != nil:
		return wrongTemplate(2388024, "Content in This Language Already Exists", fmt.Sprintf("There is already %s content for this template. You can create a new template and try again.", language))
	case len(a.templates) >= maxTemplates:
		return wrongTemplate(2388019, "Message Template Limit Exceeded", "This account has as many message templates as it may have.")
	}
	components, ok := params["components"].([]any)
	if !ok || !hasBody(components) {
		return wrongTemplate(2388043, "Message template \"components\" param is missing expected field(s)", "component of type BODY is missing expected field(s) (text)")
	}
	d, err := templates.Read(encode(map[string]any{"name": name, "language": language, "category": category, "status": "PENDING",
		"parameter_format": params.text("parameter_format"), "components": components}))
	if err != nil {
		return invalidParameter("(#100) " + err.Error())
	}
	t := newTemplate(a.ID, d, g.now)
	t.id = s.objectID()
	a.templates = append(a.templates, t)
	s.schedule(g.now.Add(reviewTime), func(time.Time) {
		if t.status == "PENDING" {
			s.templateStatus(a, t, templates.Approved, "NONE")
		}
	})
	return s.answer(g, struct {
		ID       string `json:"id"`
		Status   string `json:"status"`
		Category string `json:"category"`
	}{t.id, t.status, category})
}

func hasBody(components []any) bool {
	return slices.ContainsFunc(components, func(c any) bool {
		object, _ := c.(map[string]any)
		kind, _ := object["type"].(string)
		return strings.EqualFold(kind, "body")
	})
}

func (s *Simulator) deleteTemplates(g *graphCall, a *account, params fields) *apiError {
	name, id := params.text("name"), params.text("hsm_id")
	if name == "" && id == "" {
		return missingParameter("name")
	}
	before := len(a.templates)
	a.templates = slices.DeleteFunc(a.templates, func(t *template) bool {
		return (name == "" || t.def.Name == name) && (id == "" || t.id == id)
	})
	if len(a.templates) == before {
		return &apiError{status: http.StatusNotFound, kind: oauth, code: 100, subcode: 2593002, message: "Invalid parameter",
			title: "Message Template Not Found", advice: "Message template wasn't found for this account."}
	}
	return s.answerText(g, []byte(`{"success":true}`))
}

// changeTemplate answers POST and DELETE /{id}: of a template, its text.
func (s *Simulator) changeTemplate(g *graphCall, id string) *apiError {
	params, err := g.params()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, a := s.world.templateByID(id)
	if t == nil || !g.token.sees(a) || g.r.Method != http.MethodPost {
		return noObject(g.r.Method, id)
	}
	if !g.token.may(management) {
		return newAPIError(200, "")
	}
	d := *t.def
	if components, ok := params["components"].([]any); ok {
		d.Components = components
	}
	d.Category = strings.ToUpper(cmp.Or(params.text("category"), d.Category))
	text, _ := d.Encode()
	changed, bad := templates.Read(text)
	if bad != nil {
		return invalidParameter("(#100) " + bad.Error())
	}
	t.def = changed
	s.templateStatus(a, t, "PENDING", "")
	s.schedule(g.now.Add(reviewTime), func(time.Time) {
		s.templateStatus(a, t, templates.Approved, "NONE")
	})
	return s.answerText(g, []byte(`{"success":true}`))
}

// templateStatus gives a template a status, and tells the webhook. The simulator is
// locked.
func (s *Simulator) templateStatus(a *account, t *template, status, reason string) {
	t.status = status
	if status == "PENDING" {
		return
	}
	s.dispatcher.post(a, "message_template_status_update", a.ID, struct {
		Event    string `json:"event"`
		ID       string `json:"message_template_id"`
		Name     string `json:"message_template_name"`
		Language string `json:"message_template_language"`
		Category string `json:"message_template_category"`
		Reason   string `json:"reason"`
	}{status, t.id, t.def.Name, t.def.Language, t.def.Category, cmp.Or(reason, "NONE")})
}

// A TemplateChange changes a template.
type TemplateChange struct {
	Name     string `json:"name"`
	Language string `json:"language,omitempty"` // "": all
	Status   string `json:"status,omitempty"`   // APPROVED, PAUSED, DISABLED, REJECTED …
	Quality  string `json:"quality,omitempty"`  // GREEN, YELLOW, RED, UNKNOWN; HELD: its messages are held for quality assessment
	Reason   string `json:"reason,omitempty"`
}

// ChangeTemplate changes a template in all accounts that have it, and posts webhooks.
func (s *Simulator) ChangeTemplate(c TemplateChange) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for _, a := range s.world.accounts {
		for _, t := range a.templates {
			if t.def.Name != c.Name || c.Language != "" && t.def.Language != c.Language {
				continue
			}
			found = true
			if c.Quality != "" {
				t.quality = strings.ToUpper(c.Quality)
			}
			if c.Status != "" {
				s.templateStatus(a, t, strings.ToUpper(c.Status), c.Reason)
			}
		}
	}
	if !found {
		return fmt.Errorf("name: there is no template %q", c.Name)
	}
	return nil
}

// PutTemplate gives every account a template, in place of one of its name and language.
func (s *Simulator) PutTemplate(d *templates.Definition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putTemplate(d)
}

func (s *Simulator) putTemplate(d *templates.Definition) {
	for _, a := range s.world.accounts {
		switch t := a.template(d.Name, d.Language); {
		case t == nil:
			a.templates = append(a.templates, newTemplate(a.ID, d, s.Now()))
		case !reflect.DeepEqual(t.def, d): // else it keeps the status that it was given since
			t.def = d
			t.status = cmp.Or(d.Status, templates.Approved)
		}
	}
}

// SetTemplates gives every account these templates in place of those of Options, for Reset,
// too. Those that the scene or a request brought stay.
func (s *Simulator) SetTemplates(all []*templates.Definition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range s.options.Templates {
		same := func(d *templates.Definition) bool { return d.Name == old.Name && d.Language == old.Language }
		if slices.ContainsFunc(all, same) {
			continue
		}
		for _, a := range s.world.accounts {
			a.templates = slices.DeleteFunc(a.templates, func(t *template) bool { return reflect.DeepEqual(t.def, old) })
		}
	}
	s.options.Templates = all
	for _, d := range all {
		s.putTemplate(d)
	}
}

// A NumberChange changes a number.
type NumberChange struct {
	ID      string `json:"id"`
	Status  string `json:"status,omitempty"`
	Quality string `json:"quality,omitempty"`
	Tier    string `json:"tier,omitempty"` // of its account
}

// ChangeNumber changes a number, and posts a webhook about its quality.
func (s *Simulator) ChangeNumber(c NumberChange) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.world.number(c.ID)
	if n == nil {
		return fmt.Errorf("id: there is no phone number ID %q", c.ID)
	}
	if c.Status != "" {
		n.Status = strings.ToUpper(c.Status)
	}
	old := n.account.Tier
	n.account.Tier = cmp.Or(strings.ToUpper(c.Tier), old)
	if c.Quality == "" && c.Tier == "" {
		return nil
	}
	event := "UPGRADE"
	switch {
	case strings.EqualFold(c.Quality, "RED"):
		event = "FLAGGED"
	case c.Quality != "":
		event = "UNFLAGGED"
	case tier(n.account.Tier) != 0 && tier(n.account.Tier) < tier(old):
		event = "DOWNGRADE"
	}
	n.Quality = cmp.Or(strings.ToUpper(c.Quality), n.Quality)
	s.dispatcher.post(n.account, "phone_number_quality_update", n.ID, struct {
		Phone string `json:"display_phone_number"`
		Event string `json:"event"`
		Limit string `json:"current_limit"`
	}{n.digits, event, n.account.Tier})
	return nil
}
