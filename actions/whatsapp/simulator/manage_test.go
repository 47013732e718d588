package simulator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/account"
	"facteur/actions/whatsapp/simulator"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheClientChecksItsConnection(t *testing.T) {
	for name, o := range map[string]simulator.Options{"open": {}, "declared": oneAccount()} {
		s := newStage(t, o)
		conn, err := connections{s.url}.Resolve(context.Background(), "shop")
		require.NoError(t, err)
		for _, f := range account.CheckConnection(context.Background(), nil, conn) {
			assert.Equal(t, account.OK, f.Level, "%s: %+v", name, f)
		}
	}
}

func TestTheClientPullsTemplates(t *testing.T) {
	o := oneAccount()
	for i := range 250 {
		o.Templates = append(o.Templates, definition(t, strings.Replace(orderShipped, "order_shipped", fmt.Sprintf("t%03d", i), 1)))
	}
	s := newStage(t, o)
	conn, err := connections{s.url}.Resolve(context.Background(), "shop")
	require.NoError(t, err)
	pulled, err := account.PullTemplates(context.Background(), nil, conn)
	require.NoError(t, err)
	require.Len(t, pulled.All(), 250)
	got := pulled.All()[7]
	got.Connection = ""
	want, _ := o.Templates[7].Encode()
	have, _ := got.Encode()
	assert.JSONEq(t, string(want), string(have))
}

func TestTemplatesAreMadeReviewedAndDeleted(t *testing.T) {
	s, hook := hooked(t)
	path := "/v23.0/" + simulator.DefaultAccountID + "/message_templates"
	status, answer := s.post(path, `{"name":"hello","language":"fr","category":"UTILITY","components":[{"type":"BODY","text":"Bonjour {{1}}","example":{"body_text":[["Ada"]]}}]}`)
	require.Equal(t, 200, status, answer)
	var made struct{ ID, Status, Category string }
	require.NoError(t, json.Unmarshal([]byte(answer), &made))
	assert.Equal(t, "PENDING", made.Status)
	message := `{"messaging_product":"whatsapp","to":"+33612345678","type":"template","template":{"name":"hello","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":"Ada"}]}]}}`
	assert.EqualValues(t, 132001, s.code(message))
	s.Advance(time.Minute)
	s.idle()
	found := hook.told(t)
	require.Len(t, found, 1)
	assert.Equal(t, "message_template_status_update", found[0].Kind)
	assert.Equal(t, "APPROVED", found[0].Status)
	assert.Zero(t, s.code(message))

	for body, subcode := range map[string]int64{
		`{"name":"hello","language":"fr","category":"UTILITY","components":[{"type":"BODY","text":"x"}]}`: 2388024,
		`{"name":"Hello!","language":"fr","category":"UTILITY","components":[]}`:                          2388040,
		`{"name":"h","language":"fr","category":"UTILITY","components":[]}`:                               2388043,
	} {
		status, answer := s.post(path, body)
		assert.Equal(t, 400, status)
		e := apiError(t, answer)
		assert.Equal(t, subcode, e.Subcode)
		assert.NotEmpty(t, e.UserTitle)
	}
	_, answer = s.post(path, `{"name":"h","language":"fr","category":"NEWS","components":[]}`)
	assert.Contains(t, apiError(t, answer).Message, "Param category must be one of")

	status, _ = s.post("/v23.0/"+made.ID, `{"components":[{"type":"BODY","text":"Salut {{1}}"}]}`)
	assert.Equal(t, 200, status)
	s.Advance(time.Minute)
	_, answer = s.do("GET", "/v23.0/"+made.ID+"?fields=components,status", "", "")
	assert.Contains(t, answer, "Salut")
	assert.Contains(t, answer, "APPROVED")

	status, _ = s.do("DELETE", path+"?name=hello", "", "")
	assert.Equal(t, 200, status)
	status, answer = s.do("DELETE", path+"?name=hello", "", "")
	assert.Equal(t, 404, status)
	assert.EqualValues(t, 2593002, apiError(t, answer).Subcode)
}

func TestPaging(t *testing.T) {
	o := oneAccount()
	for i := range 5 {
		o.Templates = append(o.Templates, definition(t, strings.Replace(orderShipped, "order_shipped", fmt.Sprintf("t%d", i), 1)))
	}
	s := newStage(t, o)
	path := s.url + "/v23.0/102290129340398/message_templates?fields=name&limit=2"
	type page struct {
		Data   []struct{ Name, ID string }
		Paging struct {
			Cursors        struct{ Before, After string }
			Next, Previous string
		}
	}
	get := func(path string) (p page) {
		status, answer := s.do("GET", strings.TrimPrefix(path, s.url), "", "")
		require.Equal(t, 200, status, answer)
		require.NoError(t, json.Unmarshal([]byte(answer), &p))
		return p
	}
	var names []string
	var last page
	for next := path; next != ""; next = last.Paging.Next {
		last = get(next)
		for _, d := range last.Data {
			names = append(names, d.Name)
			assert.NotEmpty(t, d.ID)
		}
	}
	assert.Equal(t, []string{"t0", "t1", "t2", "t3", "t4"}, names)
	assert.Equal(t, "t2", get(last.Paging.Previous).Data[0].Name)
	status, answer := s.do("GET", "/v23.0/102290129340398/message_templates?after=nothing", "", "")
	assert.Equal(t, 400, status)
	assert.EqualValues(t, 131059, apiError(t, answer).Code)
	_, answer = s.do("GET", "/v23.0/102290129340398/message_templates?name=t3&fields=name,foo", "", "")
	assert.Contains(t, apiError(t, answer).Message, "Tried accessing nonexisting field (foo)")
	assert.Len(t, get("/v23.0/102290129340398/message_templates?status=PAUSED").Data, 0)
	_, answer = s.do("GET", "/v23.0/102290129340398/phone_numbers", "", "")
	assert.Contains(t, answer, `"display_phone_number":"+33 1 99 00 99 99"`)
}

func TestManagementLimit(t *testing.T) {
	s := newStage(t, oneAccount(func(scene *simulator.Scene) { scene.Limits.Management = 2 }))
	for i := range 3 {
		req, _ := http.NewRequest("GET", s.url+"/v23.0/102290129340398/phone_numbers", nil)
		req.Header.Set("Authorization", "Bearer t")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		var v struct{ Error graphError }
		_ = json.NewDecoder(resp.Body).Decode(&v)
		resp.Body.Close()
		if usage := resp.Header.Get("X-Business-Use-Case-Usage"); assert.NotEmpty(t, usage) && i == 2 {
			assert.EqualValues(t, 80007, v.Error.Code)
			assert.True(t, v.Error.Transient)
			assert.Contains(t, usage, `"call_count":100`)
		}
	}
}

func TestTokens(t *testing.T) {
	s := newStage(t, oneAccount(func(scene *simulator.Scene) {
		scene.Tokens = []simulator.Token{{Value: "good"}, {Value: "old", Expires: start.Add(-time.Hour)}, {Value: "soon", Expires: start.Add(time.Hour)}, {Value: "pw", State: "password_changed"}, {Value: "gone", State: "uninstalled"},
			{Value: "out", State: "logged_out"}, {Value: "reader", Scopes: []string{"whatsapp_business_management"}}, {Value: "sender", Scopes: []string{"whatsapp_business_messaging"}}, {Value: "elsewhere", Accounts: []string{"7"}}}
	}))
	ask := func(method, path, token, body string) (int, graphError) {
		req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
		require.NoError(t, err)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		var v struct{ Error graphError }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&v))
		if resp.StatusCode == 401 {
			assert.Contains(t, resp.Header.Get("WWW-Authenticate"), `OAuth "Facebook Platform"`)
		}
		return resp.StatusCode, v.Error
	}
	for _, tt := range []struct {
		token         string
		status        int
		code, subcode int64
	}{
		{"good", 200, 0, 0}, {"", 401, 104, 0}, {"other", 401, 190, 0}, {"old", 401, 190, 463}, {"soon", 200, 0, 0}, {"pw", 401, 190, 460}, {"gone", 401, 190, 458}, {"out", 401, 190, 467},
		{"reader", 403, 200, 0}, {"sender", 200, 0, 0}, {"elsewhere", 400, 100, 33},
	} {
		status, e := ask("POST", messages, tt.token, texts(person(1)))
		assert.Equal(t, []any{tt.status, tt.code, tt.subcode}, []any{status, e.Code, e.Subcode}, tt.token)
	}
	for header, want := range map[string]int{"bearer good": 200, "OAuth good": 200, "Bearer": 401, "Basic Z29vZDp4": 401, "good": 401} {
		req, err := http.NewRequest("POST", s.url+messages, strings.NewReader(texts(person(1))))
		require.NoError(t, err)
		req.Header.Set("Authorization", header)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, want, resp.StatusCode, header)
	}
	const asForm = "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		kind, body string
		want       int
	}{
		{asForm, "messaging_product=whatsapp&to=%2B33612345678&type=text&text=%7B%22body%22%3A%22x%22%7D&access_token=good", 200},
		{asForm, "messaging_product=whatsapp&to=%2B33612345678&type=text&text=%7B%22body%22%3A%22x%22%7D&access_token=other", 401},
		{"application/json", strings.Replace(texts(person(1)), "{", `{"access_token":"good",`, 1), 200},
		{"application/json", `{"access_token":`, 401},
		{"multipart/form-data; boundary=x", "--x", 401},
	} {
		resp, err := http.Post(s.url+messages, tt.kind, strings.NewReader(tt.body))
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, tt.want, resp.StatusCode, tt.body)
	}
	status, e := ask("GET", "/v23.0/102290129340398/message_templates", "sender", "")
	assert.Equal(t, []any{403, int64(200)}, []any{status, e.Code})
	s.Advance(2 * time.Hour)
	_, e = ask("POST", messages, "soon", texts(person(1)))
	assert.EqualValues(t, 463, e.Subcode)
	assert.Contains(t, e.Message, "Session has expired on Sunday, 01-Mar-26 13:00:00 UTC")
	require.NoError(t, s.PutToken(simulator.Token{Value: "soon"}))
	status, _ = ask("POST", messages, "soon", texts(person(1)))
	assert.Equal(t, 200, status)

	debug := func(input string) (data struct {
		Valid    bool   `json:"is_valid"`
		App      string `json:"app_id"`
		Ends     int64  `json:"expires_at"`
		Scopes   []string
		Granular []struct {
			Scope string
			IDs   []string `json:"target_ids"`
		} `json:"granular_scopes"`
		Error struct{ Subcode int64 }
	}) {
		_, answer := s.do("GET", "/v23.0/debug_token?input_token="+input+"&access_token="+simulator.DefaultAppID+"%7C"+simulator.DefaultAppSecret, "", "")
		var v struct{ Data json.RawMessage }
		require.NoError(t, json.Unmarshal([]byte(answer), &v), answer)
		require.NoError(t, json.Unmarshal(v.Data, &data), answer)
		return data
	}
	d := debug("good")
	assert.True(t, d.Valid)
	assert.Zero(t, d.Ends)
	assert.Equal(t, []string{"102290129340398"}, d.Granular[0].IDs)
	assert.False(t, debug("nothing").Valid)
	assert.False(t, debug("old").Valid)
	assert.EqualValues(t, 460, debug("pw").Error.Subcode)
	assert.Equal(t, []string{"whatsapp_business_messaging"}, debug("sender").Scopes)
}

func TestUnknownThings(t *testing.T) {
	s := newStage(t, oneAccount())
	for _, tt := range []struct {
		method, path  string
		code, subcode int64
	}{
		{"GET", "/v23.0/999", 100, 33}, {"POST", "/v23.0/999/messages", 100, 33}, {"GET", messages, 100, 33}, {"GET", "/v23.0/999/message_templates", 100, 33}, {"DELETE", "/v23.0/999", 100, 33},
		{"GET", "/v23.0/" + phoneID + "/nothing", 2500, 0}, {"GET", "/v18/" + phoneID, 2500, 0}, {"GET", "/v0.0/" + phoneID, 2500, 0}, {"GET", "/v26.0/" + phoneID, 2500, 0}, {"GET", "/v23.1/" + phoneID, 2500, 0}, {"GET", "/vx/" + phoneID, 2500, 0}, {"GET", "/v+23.0/" + phoneID, 2500, 0},
		{"GET", "/v23.0/", 2500, 0}, {"GET", "/v23.0/a/b/c", 2500, 0}, {"GET", "/..%2f..%2fetc", 2500, 0},
	} {
		status, answer := s.do(tt.method, tt.path, "application/json", "{}")
		assert.Equal(t, 400, status, tt.path)
		e := apiError(t, answer)
		assert.Equal(t, []any{tt.code, tt.subcode}, []any{e.Code, e.Subcode}, tt.path)
		if tt.subcode == 33 {
			assert.Equal(t, "GraphMethodException", e.Type)
			assert.Contains(t, e.Message, "Unsupported "+strings.ToLower(tt.method)+" request. Object with ID '")
		}
	}
	req, _ := http.NewRequest("GET", s.url+"/v20.0/"+phoneID, nil)
	req.Header.Set("Authorization", "Bearer t")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, "v20.0", resp.Header.Get("Facebook-Api-Version"))
	assert.Equal(t, "application/json; charset=UTF-8", resp.Header.Get("Content-Type"))
	for _, name := range []string{"X-Fb-Trace-Id", "X-Fb-Request-Id", "X-Fb-Rev"} {
		assert.NotEmpty(t, resp.Header.Get(name))
	}
}

func TestProfile(t *testing.T) {
	s := newStage(t, oneAccount())
	path := "/v23.0/" + phoneID + "/whatsapp_business_profile"
	_, answer := s.post(path, `{"messaging_product":"whatsapp","about":"Colis","websites":["https://shop.test"]}`)
	assert.JSONEq(t, `{"success":true}`, answer)
	_, answer = s.do("GET", path+"?fields=about,websites,email", "", "")
	assert.JSONEq(t, `{"data":[{"messaging_product":"whatsapp","about":"Colis","websites":["https://shop.test"]}]}`, answer)
	_, answer = s.post(path, `{"about":"x"}`)
	assert.EqualValues(t, 100, apiError(t, answer).Code)
}

func TestRegister(t *testing.T) {
	s := newStage(t, oneAccount())
	status, _ := s.post("/v23.0/"+phoneID+"/deregister", `{}`)
	assert.Equal(t, 200, status)
	assert.EqualValues(t, 133010, s.code(texts(person(1))))
	_, answer := s.post("/v23.0/"+phoneID+"/register", `{"messaging_product":"whatsapp","pin":"12"}`)
	assert.EqualValues(t, 100, apiError(t, answer).Code)
	status, _ = s.post("/v23.0/"+phoneID+"/register", `{"messaging_product":"whatsapp","pin":"123456"}`)
	assert.Equal(t, 200, status)
	assert.Zero(t, s.code(texts(person(1))))
}

// form is a multipart body with a file.
func form(t testing.TB, values map[string]string, kind, text string) (string, string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, v := range values {
		require.NoError(t, w.WriteField(name, v))
	}
	if kind != "" {
		part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="file"; filename="a.bin"`}, "Content-Type": {kind}})
		require.NoError(t, err)
		_, _ = part.Write([]byte(text))
	}
	require.NoError(t, w.Close())
	return w.FormDataContentType(), b.String()
}

func TestUploads(t *testing.T) {
	s := newStage(t, oneAccount())
	path := "/v23.0/" + phoneID + "/media"
	product := map[string]string{"messaging_product": "whatsapp", "type": "image/png"}
	kind, body := form(t, product, "image/png", "not really a picture")
	status, answer := s.do("POST", path, kind, body)
	require.Equal(t, 200, status, answer)
	var made struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(answer), &made))
	assert.Regexp(t, `^\d{15,16}$`, made.ID)
	assert.Zero(t, s.code(`{"messaging_product":"whatsapp","to":"+33612345678","type":"image","image":{"id":"`+made.ID+`"}}`))
	for body, at := range map[string]string{
		`{"messaging_product":"whatsapp","to":"+33612345678","type":"image","image":{"id":"7"}}`: `image['id']`,
		`{"messaging_product":"whatsapp","to":"+33612345678","type":"interactive","interactive":{"type":"button","header":{"type":"image","image":{"id":"7"}},"body":{"text":"x"},"action":{"buttons":[{"type":"reply","reply":{"id":"1","title":"A"}}]}}}`: `interactive['header']['image']['id']`,
	} {
		_, answer := s.post(messages, body)
		assert.Equal(t, "(#100) Param "+at+" is not a valid whatsapp business account media attachment ID", apiError(t, answer).Message)
	}
	assert.Zero(t, s.code(`{"messaging_product":"whatsapp","to":"+33612345678","type":"interactive","interactive":{"type":"flow","body":{"text":"x"},"action":{"name":"flow","parameters":`+
		`{"flow_message_version":"3","flow_id":"1","flow_cta":"Open","flow_action_payload":{"screen":"A","data":{"image":{"id":"7"}}}}}}}`), "the data of a Flow name no uploads")

	_, answer = s.do("GET", "/v23.0/"+made.ID+"?phone_number_id="+phoneID, "", "")
	var of struct {
		URL    string
		Mime   string `json:"mime_type"`
		SHA256 string
		Size   int `json:"file_size"`
	}
	require.NoError(t, json.Unmarshal([]byte(answer), &of))
	assert.Equal(t, "image/png", of.Mime)
	assert.Equal(t, 20, of.Size)
	assert.Regexp(t, `^[0-9a-f]{64}$`, of.SHA256)
	status, answer = s.do("GET", strings.TrimPrefix(of.URL, s.url), "", "")
	assert.Equal(t, 200, status)
	assert.Equal(t, "not really a picture", answer)
	resp, err := http.Get(of.URL)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, 401, resp.StatusCode, "a file needs the token, too")
	status, _ = s.do("GET", strings.Replace(strings.TrimPrefix(of.URL, s.url), "hash=", "hash=x", 1), "", "")
	assert.Equal(t, 404, status)
	s.Advance(6 * time.Minute)
	status, _ = s.do("GET", strings.TrimPrefix(of.URL, s.url), "", "")
	assert.Equal(t, 404, status, "an address lives five minutes")
	_, answer = s.do("GET", "/v23.0/"+made.ID+"?phone_number_id=7", "", "")
	assert.EqualValues(t, 33, apiError(t, answer).Subcode)
	_, answer = s.do("DELETE", "/v23.0/"+made.ID, "", "")
	assert.JSONEq(t, `{"success":true}`, answer)
	_, answer = s.do("GET", "/v23.0/"+made.ID, "", "")
	assert.EqualValues(t, 33, apiError(t, answer).Subcode)

	for _, tt := range []struct {
		values map[string]string
		kind   string
		text   string
		want   string
	}{
		{map[string]string{}, "image/png", "x", "The parameter messaging_product is required"},
		{product, "", "", "The parameter file is required"},
		{map[string]string{"messaging_product": "whatsapp"}, "text/csv", "x", "Received file of type 'text/csv'"},
		{product, "image/png", strings.Repeat("x", 5<<20+1), "Media upload error"},
		{product, "image/png", "", "with content"},
	} {
		kind, body := form(t, tt.values, tt.kind, tt.text)
		status, answer := s.do("POST", path, kind, body)
		assert.Equal(t, 400, status)
		assert.Contains(t, apiError(t, answer).Message, tt.want)
	}
	kind, body = form(t, product, "image/png", "x")
	_, answer = s.do("POST", path, kind, body)
	require.NoError(t, json.Unmarshal([]byte(answer), &made))
	s.Advance(31 * 24 * time.Hour)
	assert.EqualValues(t, 100, s.code(`{"messaging_product":"whatsapp","to":"+33612345678","type":"image","image":{"id":"`+made.ID+`"}}`))

	id, err := s.Send(simulator.Inbound{From: "+33612345678", Type: "image"})
	require.NoError(t, err)
	m, _ := s.Message(id)
	_, answer = s.do("GET", "/v23.0/"+m.Bubble().Media.ID, "", "")
	assert.Contains(t, answer, "image/png", "what people send can be fetched")
}

func TestForms(t *testing.T) {
	s := newStage(t, oneAccount())
	status, answer := s.do("POST", messages, "application/x-www-form-urlencoded", `messaging_product=whatsapp&to=%2B33612345678&type=text&text=%7B%22body%22%3A%22Bonjour%22%7D`)
	assert.Equal(t, 200, status, answer)
	kind, body := form(t, map[string]string{"messaging_product": "whatsapp", "to": "+33612345678", "type": "text", "text": `{"body":"Bonjour"}`}, "", "")
	status, answer = s.do("POST", messages, kind, body)
	assert.Equal(t, 200, status, answer)
	status, _ = s.do("POST", messages, "application/json", texts("+33612345678")+strings.Repeat(" ", 1<<20))
	assert.Equal(t, 413, status)
}
