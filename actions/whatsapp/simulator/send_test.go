package simulator_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/graph"
	"facteur/actions/whatsapp/simulator"
	"facteur/flow/call"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const messages = "/v23.0/" + phoneID + "/messages"

// texts is a message of text to somebody, as a body.
func texts(to string) string {
	return `{"messaging_product":"whatsapp","to":"` + to + `","type":"text","text":{"body":"Bonjour"}}`
}

// graphError is the error of an answer, in the API's shape.
type graphError struct {
	Message   string
	Type      string
	Code      int64
	Subcode   int64 `json:"error_subcode"`
	Transient bool  `json:"is_transient"`
	Data      struct {
		Product string `json:"messaging_product"`
		Details string
	} `json:"error_data"`
	UserTitle string `json:"error_user_title"`
	Trace     string `json:"fbtrace_id"`
}

func apiError(t testing.TB, text string) graphError {
	var v struct{ Error graphError }
	require.NoError(t, json.Unmarshal([]byte(text), &v), text)
	require.NotEmpty(t, v.Error.Message, text)
	assert.Regexp(t, `^A[A-Za-z0-9_-]{22}$`, v.Error.Trace)
	assert.Contains(t, []string{"OAuthException", "GraphMethodException"}, v.Error.Type)
	return v.Error
}

// TestExamplesAreAccepted: every body of the examples gets 200, and can be drawn.
func TestExamplesAreAccepted(t *testing.T) {
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start)})
	files, err := filepath.Glob("../../../examples/messages/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, version := range []string{"/v13.0", "/v19.0", "/v25.0", ""} {
			status, answer := s.post(version+"/"+phoneID+"/messages", string(body))
			assert.Equal(t, http.StatusOK, status, "%s: %s", file, answer)
			if strings.Contains(file, "mark_read") {
				assert.JSONEq(t, `{"success":true}`, answer)
				continue
			}
			var got struct {
				Product  string `json:"messaging_product"`
				Contacts []struct{ Input, WaID string }
				Messages []struct{ ID string }
			}
			require.NoError(t, json.Unmarshal([]byte(answer), &got))
			assert.Equal(t, "whatsapp", got.Product)
			require.Len(t, got.Messages, 1)
			m, ok := s.Message(got.Messages[0].ID)
			require.True(t, ok)
			assert.NotZero(t, m.Bubble(), file)
			assert.JSONEq(t, string(body), string(m.Body))
		}
	}
}

// TestClientUnderstandsWhatItIsTold: each outcome of the table, with the client's verdict.
func TestClientUnderstandsWhatItIsTold(t *testing.T) {
	hook := newReceiver(t)
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start), Templates: approved(t), Scene: simulator.Scene{Webhook: simulator.Webhook{URL: hook.URL}}})
	for _, tt := range []struct {
		to     string
		status call.Status
		code   string
		http   int64
	}{
		{"+33612345678", call.Succeeded, "", 200},
		{"+33199000190", call.Failed, "190", 401},
		{"+33199000100", call.Failed, "100", 400},
		{"+33199000033", call.Failed, "100", 400},
		{"+33199000002", call.Failed, "2", 503},
		{"+33199000004", call.Failed, "4", 400},
		{"+33199000007", call.Failed, "80007", 400},
		{"+33199000368", call.Failed, "368", 403},
		{"+33199000429", call.Failed, "130429", 400},
		{"+33199001000", call.Failed, "131000", 500},
		{"+33199001026", call.Failed, "131026", 400},
		{"+33199001047", call.Failed, "131047", 400},
		{"+33199001056", call.Failed, "131056", 400},
		{"+33199002001", call.Failed, "132001", 404},
		{"+33199002015", call.Failed, "132015", 400},
		{"+33199003010", call.Failed, "133010", 400},
		{"+33199005000", call.Failed, "135000", 400},
		{"+33536490020", call.Unknown, "outcome_unknown", 0},
		{"+33536490022", call.Unknown, "outcome_unknown", 0},
		{"+33536490023", call.Unknown, "outcome_unknown", 200},
		{"+33536490024", call.Unknown, "outcome_unknown", 502},
		{"+33536490025", call.Unknown, "outcome_unknown", 502},
		{"+33536490030", call.Succeeded, "", 200},
	} {
		o := s.send("f1.run."+tt.to, tt.to, "template", map[string]any{"name": "order_shipped", "language": map[string]any{"code": "fr"},
			"components": []any{map[string]any{"type": "body", "parameters": []any{map[string]any{"type": "text", "text": "Jeanne"}, map[string]any{"type": "text", "text": "7"}}}}})
		assert.Equal(t, tt.status, o.Status, tt.to)
		assert.Equal(t, tt.http, o.Output["status_code"], tt.to)
		if tt.code == "" {
			assert.Nil(t, o.Error, tt.to)
			assert.Contains(t, []any{"accepted", "held_for_quality_assessment"}, o.Output["message_status"])
			continue
		}
		require.NotNil(t, o.Error, tt.to)
		assert.Equal(t, tt.code, o.Error.Code, tt.to)
	}
	keys := s.Keys("f1.")
	assert.Equal(t, 1, keys["f1.run.+33536490020"], "the answer was lost, the message was not")
	assert.Equal(t, 1, keys["f1.run.+33536490023"])
	assert.Equal(t, 1, keys["f1.run.+33536490024"])
	assert.NotContains(t, keys, "f1.run.+33536490022")
	assert.NotContains(t, keys, "f1.run.+33536490025")
	assert.Zero(t, s.Counts().Repeated)
	assert.Equal(t, 3, s.Counts().Lost)
}

// TestEachCode: every code that a number of the table names comes at once and by webhook,
// and the catalogue knows it.
func TestEachCode(t *testing.T) {
	hook := newReceiver(t)
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start), Scene: simulator.Scene{Webhook: simulator.Webhook{URL: hook.URL}}})
	codes := 0
	for _, code := range []int{1, 2, 3, 4, 10, 17, 33, 100, 190, 200, 368, 613, 80007, 130403, 130429, 130472, 130497, 131000, 131005, 131008, 131009, 131016, 131021, 131026, 131030, 131031,
		131037, 131042, 131045, 131047, 131048, 131049, 131050, 131051, 131053, 131056, 131057, 131062, 131063, 131064, 132000, 132001, 132005, 132007, 132008, 132012, 132015, 132016, 132018,
		132068, 132069, 133004, 133010, 134011, 134100, 134101, 134102, 135000, 137000} {
		end := code % 10_000
		if code == 80007 {
			end = 7
		}
		digits := func(prefix string) string {
			return prefix + strings.Repeat("0", 4-len(strconv.Itoa(end))) + strconv.Itoa(end)
		}
		status, answer := s.post(messages, texts(digits("+3319900")))
		e := apiError(t, answer)
		known, ok := graph.Explain(int64(code))
		require.True(t, ok)
		if code == 33 {
			code, known.HTTP = 100, 400
		}
		assert.EqualValues(t, code, e.Code, answer)
		assert.Equal(t, known.HTTP, status, answer)
		if code != 100 {
			status, answer = s.post(messages, texts(digits("+3326191")))
			assert.Equal(t, http.StatusOK, status, answer)
			codes++
		}
	}
	s.Advance(time.Minute)
	s.idle()
	found := hook.told(t)
	require.Len(t, found, codes)
	for _, n := range found {
		assert.Equal(t, "failed", n.Status)
		require.Len(t, n.Errors, 1)
		assert.NotEmpty(t, n.Errors[0].Title)
		assert.True(t, strings.HasSuffix(n.WaID, strconv.FormatInt(n.Errors[0].Code%10_000, 10)) || n.Errors[0].Code == 80007, n.WaID)
	}
}

func TestRefusals(t *testing.T) {
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start)})
	for _, tt := range []struct {
		name, body string
		code       int64
		message    string
		details    string
	}{
		{"no JSON", `{"messaging`, 100, "(#100) The parameter messaging_product is required.", ""},
		{"nothing", ``, 100, "(#100) The parameter messaging_product is required.", ""},
		{"a list", `[]`, 100, "(#100) The parameter messaging_product is required.", ""},
		{"no product", `{"to":"+33612345678","type":"text","text":{"body":"x"}}`, 100, "(#100) The parameter messaging_product is required.", ""},
		{"On-Premises", `{"to":"33612345678","type":"template","template":{"namespace":"n","name":"a","language":{"policy":"deterministic","code":"fr"}}}`, 100, "(#100) The parameter messaging_product is required.", ""},
		{"On-Premises' key", `{"messaging_product":"whatsapp","to":"33612345678","type":"template","template":{"namespace":"n","name":"a","language":{"code":"fr"}}}`, 100, `(#100) Unexpected key "namespace" on param "template".`, ""},
		{"On-Premises' type", `{"messaging_product":"whatsapp","to":"33612345678","type":"hsm","hsm":{"element_name":"a"}}`, 100, `STICKER, TEMPLATE, TEXT, VIDEO} - got "hsm".`, ""},
		{"another product", `{"messaging_product":"sms","to":"+33612345678","type":"text","text":{"body":"x"}}`, 100, `(#100) Param messaging_product must be one of {WHATSAPP} - got "sms".`, ""},
		{"nobody", `{"messaging_product":"whatsapp","type":"text","text":{"body":"x"}}`, 100, "(#100) The parameter to is required.", ""},
		{"no number", `{"messaging_product":"whatsapp","to":"somebody","type":"text","text":{"body":"x"}}`, 131009, "(#131009) Parameter value is not valid", "The phone number is malformed"},
		{"a placeholder", `{"messaging_product":"whatsapp","to":"{{Recipient-Phone-Number}}","type":"text","text":{"body":"x"}}`, 131009, "(#131009) Parameter value is not valid", "The phone number is malformed"},
		{"00 for the plus", `{"messaging_product":"whatsapp","to":"0033612345678","type":"text","text":{"body":"x"}}`, 100, "(#100) Invalid parameter", "Parameter Invalid"},
		{"another type", `{"messaging_product":"whatsapp","to":"+33612345678","type":"txt","txt":{"body":"x"}}`, 100, `STICKER, TEMPLATE, TEXT, VIDEO} - got "txt".`, ""},
		{"no type", `{"messaging_product":"whatsapp","to":"+33612345678","image":{"id":"1"}}`, 131008, "(#131008) Required parameter is missing", "Parameter 'type' is mandatory."},
		{"a number for a text", `{"messaging_product":"whatsapp","to":33612345678,"type":"text","text":{"body":"x"}}`, 100, "(#100) Param to must be a string.", ""},
		{"an object for a list", `{"messaging_product":"whatsapp","to":"+33612345678","type":"template","template":{"name":"a","language":{"code":"fr"},"components":{}}}`, 100, "(#100) Param template['components'] must be an array.", ""},
		{"a component for components", `{"messaging_product":"whatsapp","to":"+33612345678","type":"template","template":{"name":"a","language":{"code":"fr"},"components":{"type":"body","parameters":[]}}}`, 100, "(#100) Param template['components'][0] must be a JSON object.", ""},
		{"no text", `{"messaging_product":"whatsapp","to":"+33612345678","type":"text"}`, 131008, "(#131008) Required parameter is missing", "'text'"},
		{"no body", `{"messaging_product":"whatsapp","to":"+33612345678","type":"text","text":{}}`, 100, "(#100) The parameter text['body'] is required.", ""},
		{"an empty text", `{"messaging_product":"whatsapp","to":"+33612345678","type":"text","text":{"body":""}}`, 100, "(#100) The parameter text['body'] is required.", ""},
		{"a blank text", `{"messaging_product":"whatsapp","to":"+33612345678","type":"text","text":{"body":" "}}`, 100, "(#100) The parameter text['body'] is required.", ""},
		{"a long text", `{"messaging_product":"whatsapp","to":"+33612345678","type":"text","text":{"body":"` + strings.Repeat("x", 4097) + `"}}`, 100, "(#100) Param text['body'] must be at most 4096 characters long.", ""},
		{"an unknown key", `{"messaging_product":"whatsapp","to":"+33612345678","type":"text","text":{"body":"x","bodi":1}}`, 100, `(#100) Unexpected key "bodi" on param "text".`, ""},
		{"an unknown key above", `{"messaging_product":"whatsapp","to":"+33612345678","type":"text","text":{"body":"x"},"ttl":1}`, 100, `(#100) Unexpected key "ttl".`, ""},
		{"a text for an object", `{"messaging_product":"whatsapp","to":"+33612345678","type":"text","text":"x"}`, 100, "(#100) Param text must be a JSON object.", ""},
		{"a parameter of null", `{"messaging_product":"whatsapp","to":"+33612345678","type":"template","template":{"name":"a","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":null}]}]}}`,
			100, "(#100) Invalid parameter", "Parameter 'text' is mandatory for component parameter type 'text'"},
		{"a button too long", `{"messaging_product":"whatsapp","to":"+33612345678","type":"interactive","interactive":{"type":"button","body":{"text":"x"},"action":{"buttons":[{"type":"reply","reply":{"id":"1","title":"` + strings.Repeat("x", 21) + `"}}]}}}`,
			131009, "(#131009) Parameter value is not valid", "Button title length invalid. Min length: 1, Max length: 20"},
		{"no title of a row", `{"messaging_product":"whatsapp","to":"+33612345678","type":"interactive","interactive":{"type":"list","body":{"text":"x"},"action":{"button":"x","sections":[{"rows":[{"id":"1","title":""}]}]}}}`,
			100, "(#100) The parameter interactive['action']['sections'][0]['rows'][0]['title'] is required.", ""},
		{"an image above a list", `{"messaging_product":"whatsapp","to":"+33612345678","type":"interactive","interactive":{"type":"list","header":{"type":"image","image":{"id":"1"}},"body":{"text":"x"},"action":{"button":"x","sections":[{"rows":[{"id":"1","title":"A"}]}]}}}`,
			131009, "(#131009) Parameter value is not valid", "Text cannot be null for header type text"},
		{"no language", `{"messaging_product":"whatsapp","to":"+33612345678","type":"template","template":{"name":"a"}}`, 100, "(#100) The parameter template['language'] is required.", ""},
		{"a line break in a parameter", `{"messaging_product":"whatsapp","to":"+33612345678","type":"template","template":{"name":"a","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":"a\nb"}]}]}}`,
			132018, "(#132018) There was an issue with the parameters in your template", "Param text cannot have new-line/tab characters or more than 4 consecutive spaces"},
		{"an empty parameter", `{"messaging_product":"whatsapp","to":"+33612345678","type":"template","template":{"name":"a","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":""}]}]}}`,
			131008, "(#131008) Required parameter is missing", "Parameter of type text is missing text value"},
	} {
		status, answer := s.post(messages, tt.body)
		assert.Equal(t, http.StatusBadRequest, status, tt.name)
		e := apiError(t, answer)
		assert.Equal(t, tt.code, e.Code, tt.name)
		assert.Contains(t, e.Message, tt.message, tt.name)
		assert.Contains(t, e.Data.Details, tt.details, tt.name)
		if tt.details != "" {
			assert.Equal(t, "whatsapp", e.Data.Product)
		} else {
			assert.Empty(t, e.Data.Details, tt.name)
		}
	}
	assert.Empty(t, s.Accepted(simulator.Filter{Person: "33612345678"}))
}

// What clients write in another form than Meta's pages is taken, and kept as they have it.
func TestLooseBodies(t *testing.T) {
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start)})
	for body, kept := range map[string]string{
		`{"messaging_product":"whatsapp","to":"+33612345678","text":{"body":"x"},"access_token":"t"}`:                                                                                                                            `{"body":"x"}`,
		`{"messaging_product":"whatsapp","to":"+33612345678","type":"text","text":{"body":"{\"a\":1}","preview_url":null},"context":null}`:                                                                                       `{"body":"{\"a\":1}"}`,
		`{"messaging_product":"whatsapp","to":"+33612345678","type":"interactive","interactive":{"type":"button","body":{"text":"x"},"action":"{\"buttons\":[{\"type\":\"reply\",\"reply\":{\"id\":\"1\",\"title\":\"A\"}}]}"}}`: `"action":{"buttons":[{"reply":{"id":"1","title":"A"},"type":"reply"}]}`,
		`{"messaging_product":"whatsapp","to":"+33612345678","type":"contacts","contacts":"[{\"name\":{\"formatted_name\":\"Ada\"}}]"}`:                                                                                          `"contacts":[{"name":{"formatted_name":"Ada"}}]`,
	} {
		status, answer := s.post(messages, body)
		assert.Equal(t, http.StatusOK, status, answer)
		accepted := s.Accepted(simulator.Filter{})
		assert.Contains(t, string(accepted[len(accepted)-1].Body), kept)
	}
}

func TestTemplates(t *testing.T) {
	named := `{"name":"reservation","language":"en_US","category":"UTILITY","status":"APPROVED","parameter_format":"NAMED","components":[{"type":"BODY","text":"Hello {{guest}}"}]}`
	picture := `{"name":"sale","language":"fr","category":"MARKETING","status":"APPROVED","components":[{"type":"HEADER","format":"IMAGE"},{"type":"BODY","text":"Soldes"},{"type":"BUTTONS","buttons":[{"type":"URL","text":"Voir","url":"https://shop.test/{{1}}"}]}]}`
	loop := `{"name":"loop","language":"fr","category":"MARKETING","status":"APPROVED","components":[{"type":"HEADER","format":"GIF"},{"type":"BODY","text":"Soldes"}]}`
	paused := strings.Replace(strings.Replace(orderShipped, "order_shipped", "paused", 1), "APPROVED", "PAUSED", 1)
	off := strings.Replace(strings.Replace(orderShipped, "order_shipped", "off", 1), "APPROVED", "DISABLED", 1)
	rejected := strings.Replace(strings.Replace(orderShipped, "order_shipped", "rejected", 1), "APPROVED", "REJECTED", 1)
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start), Templates: append(approved(t), definition(t, named), definition(t, picture), definition(t, loop), definition(t, paused), definition(t, off), definition(t, rejected))})
	for _, tt := range []struct {
		name, message string
		status        int
		code          int64
		details       string
	}{
		{"right", `{"name":"order_shipped","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}`, 200, 0, ""},
		{"too few", `{"name":"order_shipped","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":"a"}]}]}`, 400, 132000, "body: number of localizable_params (1) does not match the expected number of params (2)"},
		{"none", `{"name":"order_shipped","language":{"code":"fr"}}`, 400, 132000, "body: number of localizable_params (0) does not match the expected number of params (2)"},
		{"no such", `{"name":"order_shiped","language":{"code":"fr"}}`, 404, 132001, "template name (order_shiped) does not exist in fr"},
		{"another language", `{"name":"order_shipped","language":{"code":"fr_FR"}}`, 404, 132001, "template name (order_shipped) does not exist in fr_FR"},
		{"too long", `{"name":"order_shipped","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":"` + strings.Repeat("a", 600) + `"},{"type":"text","text":"` + strings.Repeat("b", 600) + `"}]}]}`, 400, 132005, "translated text too long"},
		{"named", `{"name":"reservation","language":{"code":"en_US"},"components":[{"type":"body","parameters":[{"type":"text","parameter_name":"guest","text":"Ada"}]}]}`, 200, 0, ""},
		{"without its name", `{"name":"reservation","language":{"code":"en_US"},"components":[{"type":"body","parameters":[{"type":"text","text":"Ada"}]}]}`, 400, 100, "Parameter name is missing or empty"},
		{"no picture", `{"name":"sale","language":{"code":"fr"},"components":[{"type":"button","sub_type":"url","index":0,"parameters":[{"type":"text","text":"x"}]}]}`, 400, 132012, "header: Format mismatch, expected IMAGE, received UNKNOWN"},
		{"a text for a picture", `{"name":"sale","language":{"code":"fr"},"components":[{"type":"header","parameters":[{"type":"text","text":"x"}]},{"type":"button","sub_type":"url","index":0,"parameters":[{"type":"text","text":"x"}]}]}`, 400, 132012, "header: Format mismatch, expected IMAGE, received TEXT"},
		{"no address", `{"name":"sale","language":{"code":"fr"},"components":[{"type":"header","parameters":[{"type":"image","image":{"link":"https://shop.test/a.png"}}]}]}`, 400, 131008, "buttons: Button at index 0 of type Url requires a parameter"},
		{"paused", `{"name":"paused","language":{"code":"fr"}}`, 400, 132015, "paused"},
		{"disabled", `{"name":"off","language":{"code":"fr"}}`, 400, 132016, "disabled"},
		{"rejected", `{"name":"rejected","language":{"code":"fr"}}`, 404, 132001, "does not exist"},
	} {
		status, answer := s.post(messages, `{"messaging_product":"whatsapp","to":"+33612345678","type":"template","template":`+tt.message+`}`)
		assert.Equal(t, tt.status, status, "%s: %s", tt.name, answer)
		if tt.code != 0 {
			e := apiError(t, answer)
			assert.Equal(t, tt.code, e.Code, tt.name)
			assert.Contains(t, e.Data.Details, tt.details, tt.name)
		} else {
			assert.Contains(t, answer, `"message_status":"accepted"`)
		}
	}
	for _, kind := range []string{"gif", "video"} {
		_, answer := s.post("/v23.0/"+phoneID+"/marketing_messages", `{"messaging_product":"whatsapp","to":"+33612345678","type":"template","template":{"name":"loop","language":{"code":"fr"},"components":[{"type":"header","parameters":[{"type":"`+kind+`","`+kind+`":{"link":"https://shop.test/a.mp4"}}]}]}}`)
		assert.Contains(t, answer, `"message_status":"accepted"`)
		sent := s.Accepted(simulator.Filter{})
		if media := sent[len(sent)-1].Bubble().Media; assert.NotNil(t, media) {
			assert.Equal(t, "video https://shop.test/a.mp4", media.Kind+" "+media.Link)
		}
	}
	require.NoError(t, s.ChangeTemplate(simulator.TemplateChange{Name: "order_shipped", Status: "paused"}))
	_, answer := s.post(messages, `{"messaging_product":"whatsapp","to":"+33612345678","type":"template","template":{"name":"order_shipped","language":{"code":"fr"}}}`)
	assert.Equal(t, int64(132015), apiError(t, answer).Code)
	assert.ErrorContains(t, s.ChangeTemplate(simulator.TemplateChange{Name: "nothing"}), "no template")
}

func TestRecipients(t *testing.T) {
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start), Scene: simulator.Scene{
		Accounts: []simulator.Account{{ID: "1", Numbers: []simulator.Number{{ID: phoneID, Phone: "+33 1 99 00 99 99"}}}},
		People:   []simulator.Person{{Phone: "+5511987654321", WaID: "551187654321"}, {UserID: "FR.1349", Name: "Ada"}},
	}})
	for _, tt := range []struct{ to, waID string }{
		{"+33 6 12 34 56 78", "33612345678"},
		{"33612345678", "33612345678"},
		{"0612345678", "33612345678"},
		{"06 12 34 56 78", "33612345678"},
		{"+1 (650) 555-1234", "16505551234"},
		{"16505551234", "16505551234"},
		{"+5511987654321", "551187654321"},
		{"+33536490008", "33536499008"},
	} {
		status, answer := s.post(messages, texts(tt.to))
		assert.Equal(t, http.StatusOK, status, answer)
		assert.Contains(t, answer, `"input":"`+tt.to+`","wa_id":"`+tt.waID+`"`)
	}
	status, answer := s.post(messages, `{"messaging_product":"whatsapp","recipient":"FR.1349","type":"text","text":{"body":"x"}}`)
	assert.Equal(t, http.StatusOK, status, answer)
	assert.NotContains(t, answer, "wa_id")
	assert.Contains(t, answer, `"user_id":"FR.1349"`)
	_, answer = s.post(messages, texts("+33199009999"))
	assert.Equal(t, int64(131021), apiError(t, answer).Code)
}
