package inbound

import (
	"cmp"
	"strings"
	"sync"

	"facteur/actions/whatsapp/graph"
	"facteur/flow/schema"
)

// A fieldKind says how a change is read whose value is about one thing: a template, a
// number, the account.
type fieldKind struct {
	field  string
	status string // the places of what has become of it
	keep   string // the selection of its details
}

const templateNames = "message_template_id message_template_name message_template_language message_template_category "

// owners are those of a conversation, before and after.
const owners = "(metadata previous_owner_app_id previous_owner_app_role previous_owner_role new_owner_app_id new_owner_app_role new_owner_role conversation_context(type summary(text)))"

// standby is the field of what happens in a conversation that another app answers, such as
// Meta's agent, and the name of what holds it.
const standby = "standby"

// listFields are those whose values hold lists, which parts reads.
var listFields = [...]string{
	"messages", "message_echoes", "smb_message_echoes", "history", "calls", "user_preferences", "smb_app_state_sync",
	"automatic_events", "tracking_events", "group_lifecycle_update", "group_participants_update", "group_settings_update",
	"group_status_update", standby,
}

var fieldKinds = sync.OnceValue(func() map[string]fieldReader {
	readers := map[string]fieldReader{}
	for _, field := range listFields {
		readers[field] = fieldReader{}
	}
	for _, k := range [...]fieldKind{
		{"message_template_status_update", "event", templateNames + "reason disable_info(disable_date) other_info(title description reason) rejection_info(reason recommendation)"},
		{"message_template_quality_update", "new_quality_score", templateNames + "previous_quality_score new_quality_score"},
		{"message_template_components_update", "", templateNames + "message_template_title message_template_element message_template_footer message_template_buttons(message_template_button_type message_template_button_text message_template_button_url message_template_button_phone_number)"},
		{"template_category_update", "new_category", templateNames + "previous_category new_category correct_category category_update_timestamp"},
		{"template_correct_category_detection", "correct_category suggested_category", templateNames + "category correct_category new_category current_category suggested_category"},
		{"message_template_pacing_update", "event", templateNames + "reason"},
		{"phone_number_quality_update", "event", "current_limit old_limit max_daily_conversations_per_business max_daily_conversation_per_phone"},
		{"phone_number_name_update", "decision", "requested_verified_name rejection_reason"},
		{"account_update", "event", "country phone_number ban_info(waba_ban_state waba_ban_date) violation_info(violation_type) lock_info(expiration) restriction_info(restriction_type expiration remediation) waba_info(waba_id ad_account_linked ad_account_id owner_business_id partner_app_id solution_id solution_partner_business_ids) auth_international_rate_eligibility(start_time exception_countries(country_code start_time)) partner_client_certification_info(client_business_id status rejection_reasons) volume_tier_info(tier_update_time pricing_category tier effective_month region) disconnection_info(reason initiated_by) business_verification_status"},
		{"account_alerts", "alert_info.alert_status alert_status", "entity_type entity_id alert_severity alert_status alert_type alert_description alert_info(alert_severity alert_status alert_type alert_description)"},
		{"account_review_update", "decision", "decision"},
		{"account_settings_update", "type", "type timestamp phone_number_settings(phone_number_id calling(status call_icon_visibility callback_permission_status))"},
		{"business_capability_update", "", "max_daily_conversations_per_business max_daily_conversation_per_phone max_phone_numbers_per_business max_phone_numbers_per_waba coexistence_max_phone_numbers"},
		{"business_status_update", "event", "business_id"},
		{"business_username_update", "status", "username context"},
		{"business_username_updates", "status", "username context"},
		{"security", "event", "requester"},
		{"flows", "event", "message flow_id old_status new_status error_rate threshold alert_state error_count p50_latency p90_latency requests_count availability warning errors(error_type error_rate error_count)"},
		{"partner_solutions", "event", "solution_id solution_status"},
		{"payment_configuration_update", "status", "configuration_name provider_name provider_mid status created_timestamp updated_timestamp"},
		{"user_id_update", "detail", "detail"},
		{"messaging_handovers", "type", "type sender(id phone_number) recipient(id display_phone_number phone_number_id) control_passed" + owners + " control_taken" + owners + " pass_thread_control(new_owner_app_id previous_owner_app_id metadata) take_thread_control(new_owner_app_id previous_owner_app_id metadata)"},
	} {
		readers[k.field] = fieldReader{k.status, parseSelection(k.keep)}
	}
	return readers
})

type fieldReader struct {
	status string
	keep   selection
}

func isKnownField(field string) bool {
	_, ok := fieldKinds()[field]
	return ok
}

// readField reads a value that is about one thing.
func readField(field string, v schema.Value) (n Notification, ok bool) {
	reader, ok := fieldKinds()[field]
	if !ok || len(reader.keep) == 0 {
		return n, false
	}
	n = Notification{Kind: field, Timestamp: parseTime(v.Field("timestamp")), Details: reader.keep.of(v)}
	if reader.status != "" {
		n.Status = graph.Word(firstOf(v, strings.Fields(reader.status)...))
	}
	n.Raw, _ = v.Object()
	return n, n.Status != "" || n.Details != nil
}

// guessField tells the field of a value by what it holds, where the change does not.
func guessField(v schema.Value) string {
	for _, sign := range [...]struct{ name, field string }{
		{"messages", "messages"},
		{"statuses", "messages"},
		{"message_echoes", "smb_message_echoes"},
		{"history", "history"},
		{"calls", "calls"},
		{"state_sync", "smb_app_state_sync"},
		{"user_preferences", "user_preferences"},
		{"user_id_update", "user_id_update"},
		{"user_actions", "messages"},
		{standby, standby},
		{"new_quality_score", "message_template_quality_update"},
		{"new_category", "template_category_update"},
		{"message_template_id", "message_template_status_update"},
		{"waba_info", "account_update"},
		{"ban_info", "account_update"},
		{"alert_info", "account_alerts"},
		{"errors", "messages"},
	} {
		if has(v, sign.name) {
			return sign.field
		}
	}
	return ""
}

// A listKind says how the items of a list are read that say in their own fields what
// became of what. Their kind is the field of the change.
type listKind struct {
	status string // the place of what has become of it
	id     string // the place of the message's id, "" for none
	keep   string // the selection of its details
}

func (k listKind) read(in location, item schema.Value, people contacts) Notification {
	n := Notification{
		Kind:      in.field,
		Status:    graph.Word(firstOf(item, k.status)),
		Timestamp: parseTime(firstOf(item, "timestamp", "metadata.timestamp")),
		GroupID:   graph.Word(item.Field("group_id")),
		Details:   parseSelection(k.keep).of(item),
		Errors:    readErrors(item.Field("errors")),
	}
	n.Raw, _ = item.Object()
	if k.id != "" {
		n.MessageID = graph.Word(item.Field(k.id))
	}
	n.setPerson(people.find(item.Field("wa_id"), firstOf(item, "user_id", "user_id.current"), firstOf(item, "parent_user_id", "parent_user_id.current")))
	n.Username = cmp.Or(n.Username, graph.Word(item.Field("username")))
	return n
}

func readPreference(in location, item schema.Value, people contacts) []Notification {
	n := listKind{"value", "", "category detail value signup_id"}.read(in, item, people)
	n.From = n.person()
	return []Notification{n}
}

func readUserID(in location, item schema.Value, people contacts) []Notification {
	n := listKind{"detail", "", "detail user_id(previous current) parent_user_id(previous current)"}.read(in, item, people)
	n.From = n.person()
	return []Notification{n}
}

func readGroup(in location, item schema.Value, people contacts) []Notification {
	const (
		member  = "(wa_id user_id parent_user_id username input)"
		setting = "(text mime_type sha256 update_successful)"
	)
	return []Notification{listKind{"type", "", "type request_id subject description invite_link join_approval_mode reason initiated_by join_request_id" +
		" group_subject" + setting + " group_description" + setting + " profile_picture" + setting +
		" added_participants" + member + " removed_participants" + member + " failed_participants(wa_id user_id input errors(code message title error_data(details)))"}.read(in, item, people)}
}

func readSync(in location, item schema.Value, people contacts) []Notification {
	n := listKind{"action", "", "type contact(full_name first_name phone_number user_id parent_user_id username)"}.read(in, item, people)
	c := item.Field("contact")
	n.setPerson(person{
		waID: graph.Word(c.Field("phone_number")), userID: graph.Word(c.Field("user_id")), parentID: graph.Word(c.Field("parent_user_id")),
		username: graph.Word(c.Field("username")), name: graph.Word(c.Field("full_name")),
	})
	return []Notification{n}
}

func readAutomatic(in location, item schema.Value, people contacts) []Notification {
	return []Notification{listKind{"event_name", "id", "event_name ctwa_clid custom_data(currency value)"}.read(in, item, people)}
}

func readAction(in location, item schema.Value, people contacts) []Notification {
	n := listKind{"action_type", "", "action_type marketing_messages_link_click_data(click_component product_id click_id tracking_token client_user_agent)"}.read(in, item, people)
	n.Kind = "user_action"
	return []Notification{n}
}

func readTracking(in location, item schema.Value, people contacts) []Notification {
	return []Notification{listKind{"event_name", "", "event_name tracking_data(click_id tracking_token)"}.read(in, item, people)}
}

func readCall(in location, c schema.Value, people contacts) []Notification {
	n := Notification{
		Kind:         "call",
		MessageID:    graph.Word(c.Field("id")),
		Status:       graph.Word(firstOf(c, "event", "status")),
		Timestamp:    parseTime(c.Field("timestamp")),
		CallbackData: graph.Word(c.Field("biz_opaque_callback_data")),
		Details:      parseSelection("direction status start_time end_time duration deeplink_payload cta_payload session(sdp_type sdp)").of(c),
		Errors:       readErrors(c.Field("errors")),
	}
	n.Raw, _ = c.Object()
	from, to := graph.Word(c.Field("from")), graph.Word(c.Field("to"))
	if graph.Word(c.Field("direction")) == "BUSINESS_INITIATED" {
		n.setPerson(people.find(c.Field("to"), firstOf(c, "to_user_id", "recipient_user_id"), c.Field("to_parent_user_id")))
		to = n.person()
	} else {
		n.setPerson(people.find(c.Field("from"), c.Field("from_user_id"), c.Field("from_parent_user_id")))
		from = n.person()
	}
	n.From, n.To = recipientForm(from), recipientForm(to)
	return []Notification{n}
}
