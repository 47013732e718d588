package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/graph"
	"facteur/flow/schema"
	"facteur/vault"
)

// CheckConnection asks the API about everything that sending needs: the token and its
// permissions, the phone number, the account, the webhooks. It sends no message. The
// findings come in a fixed order; no secret is in them. A nil client is one of its own.
func CheckConnection(ctx context.Context, client *http.Client, c vault.Connection) []Finding {
	i, found := newInspector(ctx, client, c)
	if i == nil {
		return found
	}
	i.add("secret", OK, "the token can be read", "", "")
	for _, check := range []func(){i.token, i.number, i.business, i.webhooks} {
		if check(); i.unreachable {
			break
		}
	}
	return withoutSecrets(i.found, c)
}

// newInspector returns an inspector of a connection, or why there can be none.
func newInspector(ctx context.Context, client *http.Client, c vault.Connection) (*inspector, []Finding) {
	account, err := whatsapp.Connect(c)
	switch {
	case err == nil && c.App != vault.WhatsApp:
		err = fmt.Errorf("it is for %s", c.App)
	case err == nil && account.Token.IsZero():
		err = errors.New("it has no token")
	}
	if err != nil {
		return nil, []Finding{{"secret", Fail, "the connection cannot be used", err.Error(), "store the token: facteur vault set " + c.Name}}
	}
	return &inspector{ctx: ctx, api: api{whatsapp.Options{Client: client}.HTTP(), account}, now: time.Now()}, nil
}

// An inspector collects findings.
type inspector struct {
	ctx context.Context
	api
	now         time.Time
	found       []Finding
	refused     int64 // the code of a refusal of the latest question
	unreachable bool
}

func (i *inspector) add(name string, level Level, detail, cause, cure string) {
	i.found = append(i.found, Finding{name, level, detail, cause, cure})
}

// get asks for an object. Without ok, the reason has been added under the name.
func (i *inspector) get(name, path string, query url.Values) (v schema.Value, ok bool) {
	return i.do(name, http.MethodGet, path+"?"+query.Encode(), nil)
}

// do sends a request with a JSON body, nil for none. Without ok, the reason has been added
// under the name.
func (i *inspector) do(name, method, path string, body []byte) (v schema.Value, ok bool) {
	i.refused = 0
	v, err := i.api.do(i.ctx, method, path, body, maxResponse)
	refused, isRefused := errors.AsType[*apiError](err)
	other, isOther := errors.AsType[*unexpectedServer](err)
	switch {
	case err == nil:
		return v, true
	case isRefused:
		i.refused = refused.cause.Code
		verdict := graph.Classify(refused.cause)
		i.add(name, Fail, refused.Error(), cmp.Or(verdict.Cause, "the API refused the request"), verdict.Cure)
	case isOther:
		i.add(name, Fail, fmt.Sprintf("the answer is not from the API (status %d)", other.status), "something other than the API answers", "check the connection's base_url, and any proxy")
	case errors.Is(err, errAddress):
		i.unreachable = true
		i.add(name, Fail, "the request could not be built", err.Error(), "correct base_url")
	default:
		i.unreachable = true
		i.add(name, Fail, "the API could not be reached", err.Error(), help(err, "check the network"))
	}
	return v, false
}

// newToken is what Meta's answer to a token that is over leads to.
func newToken() string {
	expired, _ := graph.Explain(190)
	return expired.Cure
}

// token asks whether the token is valid, until when, and what it may do.
func (i *inspector) token() {
	v, ok := i.get("token", "/debug_token", url.Values{"input_token": {i.account.Token.Reveal()}})
	if !ok {
		return
	}
	v = v.Get("data")
	if valid, _ := v.Get("is_valid").Bool(); !valid {
		cause, ok := v.Get("error", "message").Text()
		if !ok {
			cause = "it expired or was revoked"
		}
		i.add("token", Fail, "the token is not valid", cause, newToken())
		return
	}
	seconds, _ := v.Get("expires_at").Number()
	end := time.Unix(int64(seconds), 0).UTC()
	switch left := end.Sub(i.now); {
	case seconds == 0:
		i.add("token", OK, "valid, never expires", "", "")
	case left < 0:
		i.add("token", Fail, "expired "+end.Format(time.DateTime), "its validity period is over", newToken())
	case left < 7*24*time.Hour:
		i.add("token", Warn, "valid, but expires "+end.Format(time.DateTime)+" UTC", "tokens from the dashboard last one day, those of people 60 days", newToken())
	default:
		i.add("token", OK, "valid until "+end.Format(time.DateOnly), "", "")
	}
	scopes := map[string]bool{}
	for _, scope := range v.Get("scopes").Items() {
		text, _ := scope.Text()
		scopes[text] = true
	}
	const messaging, management = "whatsapp_business_messaging", "whatsapp_business_management"
	switch {
	case !scopes[messaging]:
		i.add("permissions", Fail, "the token lacks "+messaging, "it was created without this permission", newToken())
	case !scopes[management]:
		i.add("permissions", Warn, "the token lacks "+management, "sending works, but templates and numbers cannot be read", "create a token that also has "+management)
	default:
		i.add("permissions", OK, messaging+" and "+management, "", "")
	}
}

// unknown stands for what the API leaves out.
const unknown = "not known"

// number asks about the phone number.
func (i *inspector) number() {
	id := i.account.SenderPhoneID
	if id == "" {
		i.add("phone number", Warn, "not checked", "the connection has no sender_phone_id, so every step must give one", "store it: facteur vault set "+i.account.Name+" sender_phone_id=…")
		return
	}
	v, ok := i.get("phone number", "/"+id, url.Values{"fields": {"id,verified_name,display_phone_number,quality_rating,name_status,status,throughput,account_mode"}})
	if !ok {
		return
	}
	text := func(names ...string) string {
		s, _ := v.Get(names...).Text()
		return s
	}
	shown := text("display_phone_number")
	if shown == "" {
		i.add("phone number", Fail, "there is an object "+id+", but it is not a phone number", "the ID belongs to something else, such as the account", "use the phone number ID from WhatsApp Manager")
		return
	}
	switch status := text("status"); status {
	case "", "CONNECTED":
		i.add("phone number", OK, fmt.Sprintf("%s, %s", shown, text("verified_name")), "", "")
	default:
		i.add("phone number", Fail, fmt.Sprintf("%s is %s", shown, status), "only a number that is CONNECTED can send", "check the number in WhatsApp Manager; register it if it is PENDING")
	}
	switch status := text("name_status"); status {
	case "", "APPROVED", "AVAILABLE_WITHOUT_REVIEW":
		i.add("display name", OK, cmp.Or(status, unknown), "", "")
	default:
		i.add("display name", Warn, status, "the name is not approved, so people see the number instead, and some numbers cannot send", "get the name approved in WhatsApp Manager")
	}
	switch rating := text("quality_rating"); rating {
	case "RED":
		i.add("quality", Warn, rating, "many people block or report the number: its limits may be lowered", "write only to people who expect your messages")
	case "YELLOW":
		i.add("quality", Warn, rating, "some people block or report the number", "write only to people who expect your messages")
	default:
		i.add("quality", OK, cmp.Or(rating, unknown), "", "")
	}
	i.add("throughput", OK, cmp.Or(text("throughput", "level"), unknown), "", "")
}

// business asks whether the WABA is one, and whether the phone number belongs to it.
func (i *inspector) business() {
	id := i.account.WABA
	switch {
	case id == "":
		i.add("account", Warn, "not checked", "the connection has no waba_id, so templates and webhooks cannot be checked", "store it: facteur vault set "+i.account.Name+" waba_id=…")
		return
	case id == i.account.Business:
		i.add("account", Fail, "waba_id is the portfolio's ID", "the same ID is stored as business_id", "use the WhatsApp Business Account ID from WhatsApp Manager")
		return
	}
	v, ok := i.get("account", "/"+id, url.Values{"fields": {"id,name,message_template_namespace"}})
	if !ok {
		if last := &i.found[len(i.found)-1]; i.refused == 100 {
			last.Cause = "waba_id is not a WhatsApp Business Account that the token has access to; often it is the portfolio's ID by mistake"
			last.Cure = "use the WhatsApp Business Account ID from WhatsApp Manager, and assign the account to the system user"
		}
		return
	}
	if _, ok := v.Get("message_template_namespace").Text(); !ok {
		i.add("account", Fail, id+" is not a WhatsApp Business Account", "often it is the ID of the portfolio or the app by mistake", "use the WhatsApp Business Account ID from WhatsApp Manager")
		return
	}
	name, _ := v.Get("name").Text()
	i.add("account", OK, cmp.Or(name, unknown), "", "")
}

// webhooks asks whether some app receives the account's webhooks.
func (i *inspector) webhooks() {
	if i.account.WABA == "" || i.account.WABA == i.account.Business {
		return
	}
	v, ok := i.get("webhooks", "/"+i.account.WABA+"/subscribed_apps", nil)
	if !ok {
		return
	}
	var names []string
	for _, app := range v.Get("data").Items() {
		name, _ := app.Get("whatsapp_business_api_data", "name").Text()
		name = cmp.Or(name, unknown)
		if other, _ := app.Get("override_callback_uri").Text(); other != "" {
			name += " at " + other
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		i.add("webhooks", Warn, "no app is subscribed", "receipts and messages are not delivered anywhere, so sends with a lost answer cannot be settled", "subscribe the app: facteur webhook subscribe "+i.account.Name)
		return
	}
	i.add("webhooks", OK, "subscribed: "+strings.Join(names, ", "), "", "")
}
