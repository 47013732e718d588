// Package graph reads what Meta's Graph API says: its errors, with what each code means for
// the engine and for people; how much of its rate limits is used; its JSON, where an ID may be
// a number and a list of one the object alone.
package graph

import (
	"fmt"
	"sync"
	"time"
)

// An Explanation is what is known about an error code of Meta's.
type Explanation struct {
	Code, Last int64  // the code; of a range also its last code, otherwise 0
	Title      string // Meta's name for it
	HTTP       int    // the status it usually comes with; 0 where that varies
	Class      Class
	After      time.Duration // wait at least this long, 0: as the class says
	Cause      string
	Cure       string // what you can do
	Source     string // where it is documented or was seen
	Does       string // what the engine does; filled in by Explain
}

var known = sync.OnceValue(catalogue)

// Explain tells what an error code means, what the engine does about it and what you
// can do. Codes of the On-Premises API are explained by the code that took their place.
func Explain(code int64) (Explanation, bool) {
	e, ok := lookup(code)
	if !ok {
		cloud, old := onPremises(code)
		if !old {
			return Explanation{}, false
		}
		e, _ = lookup(cloud)
		e.Title += fmt.Sprintf(" (%d on the On-Premises API, which has delivered nothing since October 2025; now %d)", code, cloud)
		e.Code = code
	}
	e.Does = e.Class.describe()
	return e, true
}

// lookup finds the entry of a code, exact before range.
func lookup(code int64) (found Explanation, ok bool) {
	for _, e := range known() {
		switch {
		case e.Last == 0 && e.Code == code:
			return e, true
		case e.Code <= code && code <= e.Last:
			found, ok = e, true
		}
	}
	return found, ok
}

// Where a code is documented: the page's name and its address.
const (
	whatsappPages = "https://developers.facebook.com/documentation/business-messaging/whatsapp/"

	codesPage    = "Cloud API error codes, " + whatsappPages + "support/error-codes"
	graphPage    = "Graph API, handling errors, https://developers.facebook.com/docs/graph-api/guides/error-handling"
	openAPI      = "Meta's OpenAPI description, v23, https://github.com/facebook/openapi"
	groupsPage   = "Groups API error codes, " + whatsappPages + "groups/error-codes"
	callingPage  = "Calling API, troubleshooting, " + whatsappPages + "calling/troubleshooting"
	paymentsPage = "Payments India, order status, " + whatsappPages + "payments"
	bsuidPage    = "Business-scoped user IDs, " + whatsappPages + "business-scoped-user-ids"
	historyPage  = "Webhooks, history, " + whatsappPages + "webhooks/reference/history"
	inboundPage  = "Webhooks, unsupported messages, " + whatsappPages + "webhooks/reference/messages/unsupported"
	unlisted     = "seen in production; Meta's list: " + whatsappPages + "support/error-codes"
)

const newToken = "create a token of a system user that has the permission whatsapp_business_messaging on this account, and store it with facteur vault set NAME"

// catalogue returns the codes, in order. An exact code goes before a range.
func catalogue() []Explanation {
	return []Explanation{
		{0, 0, "AuthException", 401, Auth, 0, "the token expired, was invalidated, or access was revoked", newToken, codesPage, ""},
		{1, 0, "API Unknown", 400, TransientMaybe, 0, "the request is invalid, or Meta had an internal error", "check the request if the error repeats", codesPage, ""},
		{2, 0, "API Service", 503, Transient, 0, "the API is down or overloaded", "wait: it passes by itself; if it lasts, check Meta's status page", codesPage, ""},
		{3, 0, "API Method", 500, Auth, 0, "the app lacks a permission or capability, despite the status 500", "grant the app the permission whatsapp_business_messaging", codesPage, ""},
		{4, 0, "API Too Many Calls", 400, ThrottleApp, 0, "the app made too many API calls in the last hour", "spread the calls over time, or ask Meta for a higher limit", codesPage, ""},
		{10, 0, "Permission Denied", 403, Auth, 0, "a permission is missing or was revoked", "assign the account to the system user, with the permission whatsapp_business_messaging", codesPage, ""},
		{17, 0, "User request limit reached", 429, ThrottleApp, 0, "the token's user made too many API calls", "use the token of a system user, and spread the calls over time", openAPI, ""},
		{33, 0, "Parameter value is not valid", 400, AccountBlocked, 0, "the phone number ID does not exist, was deleted, or the token has no access to it", "check sender_phone_id, and assign the account to the system user; test with facteur vault check NAME", codesPage, ""},
		{100, 0, "Invalid parameter", 400, Permanent, 0, "a parameter is unknown, misspelt or too long, or refers to something that does not exist", "read the details at the end of the error message: they name the parameter", codesPage, ""},
		{102, 0, "Session/API session", 401, Auth, 0, "the session of the token has expired", newToken, graphPage, ""},
		{104, 0, "Access token required", 401, Auth, 0, "the request had no token", "store a token in the connection with facteur vault set NAME", codesPage, ""},
		{190, 0, "Access token has expired", 401, Auth, 0, "the token is invalid or has expired; a token from the dashboard lasts one day", newToken, codesPage, ""},
		{200, 0, "API Permission", 403, Auth, 0, "a permission is missing, or the request had no token", "assign the account to the system user, with the permission whatsapp_business_messaging", codesPage, ""},
		{200, 299, "API Permission", 403, Auth, 0, "a permission is missing or was revoked", "assign the account to the system user, with the permission whatsapp_business_messaging", codesPage, ""},
		{368, 0, "Temporarily blocked for policies violations", 403, AccountBlocked, 0, "the account is restricted or disabled because it violated a policy", "open the account's quality page in WhatsApp Manager, and appeal there", codesPage, ""},
		{501, 0, "Unknown message type", 0, InboundFault, 0, "a person sent a kind of message that the API does not pass on", "ask the person to send it as text", inboundPage, ""},
		{613, 0, "Calls to this API have exceeded the rate limit", 429, ThrottleApp, 0, "there were too many calls of this kind", "spread the calls over time", callingPage, ""},
		{803, 0, "Object not found", 404, Permanent, 0, "no object has this ID", "check the ID: a phone number ID is not a phone number", openAPI, ""},
		{2500, 0, "Unknown path components", 400, Permanent, 0, "the API has no such address", "check sender_phone_id, and the connection's base_url and api_version", graphPage, ""},
		{2046, 2047, "Invalid order status transition", 400, Permanent, 0, "the order cannot change from its current status to this one", "send the statuses in their order; a paid order cannot be cancelled", paymentsPage, ""},
		{80007, 0, "Rate limit issues", 400, ThrottleWABA, 0, "the WhatsApp Business Account made too many API calls in the last hour", "spread the calls over the hour", codesPage, ""},

		{130403, 0, "Business blocked the user", 400, Recipient, 0, "your business has blocked this person", "unblock the person before you write again", codesPage, ""},
		{130429, 0, "Rate limit hit", 400, ThrottleNumber, 0, "the sender number exceeds its messages per second (80 unless Meta raised the limit)", "lower the concurrency of the flow, or use more numbers", codesPage, ""},
		{130472, 0, "User's number is part of an experiment", 400, Recipient, 0, "Meta withholds marketing messages from this person as part of an experiment", "reach the person in another way: this message will fail every time", codesPage, ""},
		{130497, 0, "Business account is restricted from messaging users in this country", 403, AccountRecipient, 0, "the account may not send messages to this country", "leave the country out, or check which business categories Meta allows there", codesPage, ""},
		{131000, 0, "Something went wrong", 500, Transient, 0, "Meta had an internal error", "if it lasts, open a case with Meta's Direct Support and quote the fbtrace_id", codesPage, ""},
		{131005, 0, "Access denied", 403, Auth, 0, "a permission is missing or was revoked", "assign the account to the system user, with the permission whatsapp_business_messaging", codesPage, ""},
		{131008, 0, "Required parameter is missing", 400, Permanent, 0, "a required parameter is missing or empty, such as the text of a template parameter or the index of a button", "read the details at the end of the error message: they name the parameter", codesPage, ""},
		{131009, 0, "Parameter value is not valid", 400, Permanent, 0, "a value is invalid, or the message that a reaction refers to is deleted, unknown or over 30 days old", "read the details at the end of the error message: they name the parameter", codesPage, ""},
		{131016, 0, "Service unavailable", 500, Transient, 0, "part of the API is temporarily unavailable", "wait: it passes by itself", codesPage, ""},
		{131020, 0, "Bad Group", 400, Recipient, 0, "the group has no other member", "wait until somebody has joined the group", groupsPage, ""},
		{131021, 0, "Recipient cannot be sender", 400, Permanent, 0, "the sender and the recipient are the same number", "send to another number", codesPage, ""},
		{131026, 0, "Message Undeliverable", 400, Recipient, 0, "the number is not on WhatsApp, the person's app is too old, or the person has not accepted WhatsApp's terms or has blocked you", "check the number, or reach the person in another way; sending again does not help", codesPage, ""},
		{131030, 0, "Recipient phone number not in allowed list", 400, RecipientTest, 0, "the sender is Meta's test number, which can write only to the five numbers on its list", "add the recipient to the list in the app's dashboard, or send from your own number", callingPage, ""},
		{131031, 0, "Account has been locked", 403, AccountBlocked, 0, "the account is locked because it violated a policy or a PIN was wrong", "open the account's quality page in WhatsApp Manager", codesPage, ""},
		{131037, 0, "Display name approval needed", 400, AccountBlocked, 0, "the sender, a number provided by WhatsApp, has no approved display name", "get a display name approved in WhatsApp Manager", codesPage, ""},
		{131041, 0, "Group unknown", 400, Recipient, 0, "the group does not exist, or the business is not a member of it", "check the group's ID", groupsPage, ""},
		{131042, 0, "Business eligibility payment issue", 400, AccountBlocked, 0, "the message cannot be billed: no payment method, a used-up credit line, or no currency or time zone set", "fix it in the Billing Hub of the business portfolio", codesPage, ""},
		{131044, 0, "Payment issue", 400, AccountBlocked, 0, "the account has no valid payment method for calls", "add a payment method in the Billing Hub", callingPage, ""},
		{131045, 0, "Incorrect certificate", 500, AccountBlocked, 0, "the number is not registered correctly", "register the number again", codesPage, ""},
		{131047, 0, "Re-engagement message", 400, NeedsTemplate, 0, "more than 24 hours have passed since the person last wrote to you", "send a template, or give the step a `fallback`", codesPage, ""},
		{131048, 0, "Spam rate limit hit", 400, ThrottleQuality, 0, "too many people blocked or reported this number", "stop sending, check the number's quality rating, and write only to people who expect your messages", codesPage, ""},
		{131049, 0, "Meta chose not to deliver", 400, RecipientMarketing, 0, "this person receives too many marketing messages, or is in a country where Meta delivers none", "wait at least a day, and send again only if the message still matters", codesPage, ""},
		{131050, 0, "User has stopped receipt of marketing messages", 400, RecipientOptOut, 0, "this person has opted out of your marketing messages", "remove the person from your marketing list", codesPage, ""},
		{131051, 0, "Unsupported message type", 400, Permanent, 0, "this message type is not supported here", "use another message_type", codesPage, ""},
		{131052, 0, "Media download error", 400, InboundFault, 0, "a file that a person sent could not be downloaded", "ask the person to send it again", codesPage, ""},
		{131053, 0, "Media upload error", 400, PermanentMedia, 0, "the file could not be fetched or processed: its address does not answer, its content type is wrong, or its codec is not supported", "check that the link is public, and that the file's content type, codec and size are allowed", codesPage, ""},
		{131055, 0, "Method not allowed", 400, Permanent, 0, "this kind of message is not allowed here: the Marketing Messages API accepts only marketing templates", "send it through the Cloud API", codesPage, ""},
		{131056, 0, "(Business Account, Consumer Account) pair rate limit hit", 400, ThrottlePair, 0, "too many messages from this number to this person: the limit is one every 6 seconds, with bursts of up to 45", "send fewer, longer messages", codesPage, ""},
		{131057, 0, "Account in maintenance mode", 500, Transient, time.Minute, "the number is being upgraded, which takes about a minute", "wait: it passes by itself", codesPage, ""},
		{131058, 0, "Hello World templates can only be sent from Public Test Numbers", 400, PermanentTemplate, 0, "the template hello_world works only from Meta's test numbers", "create a template of your own", unlisted, ""},
		{131059, 0, "Invalid cursor", 400, Permanent, 0, "a paging cursor has expired", "start again without a cursor", codesPage, ""},
		{131060, 0, "Message unavailable", 0, InboundFault, 0, "a person sent something that the API does not pass on, such as a disappearing message", "ask the person to send it as text", inboundPage, ""},
		{131062, 0, "BSUID recipient not supported", 400, Permanent, 0, "this message cannot be sent to a business-scoped user ID: authentication templates need a phone number", "send it to the phone number", bsuidPage, ""},
		{131063, 0, "Marketing templates disabled on Cloud API", 400, Permanent, 0, "the account may send marketing templates only through the Marketing Messages API", "turn on marketing messages on Cloud API in the account's settings", codesPage, ""},
		{131064, 0, "Messaging limit reached due to template classification violations", 400, ThrottleAccount, 0, "templates were submitted too often in the wrong category", "wait until the limit is lifted, and correct the categories", codesPage, ""},
		{131201, 0, "Request partially succeeded", 206, Permanent, 0, "a change to a group succeeded for some members only", "read the details at the end of the error message, and repeat the change for the others", groupsPage, ""},
		{131202, 0, "Duplicate participant", 400, Permanent, 0, "a person is named twice", "name each person only once", groupsPage, ""},
		{131204, 0, "Participant overlimit", 400, Permanent, 0, "a group can have at most eight participants", "use another group", groupsPage, ""},
		{131207, 0, "Group suspended", 403, Permanent, 0, "the group is suspended", "use another group", groupsPage, ""},
		{131208, 0, "Group rate limit hit", 429, ThrottleNumber, 0, "this number sent too many group messages", "send fewer group messages", groupsPage, ""},
		{131209, 0, "Group picture not square", 400, Permanent, 0, "a group's picture must be square", "crop the picture", groupsPage, ""},
		{131210, 0, "Group picture too small", 400, Permanent, 0, "a group's picture must be at least 192 by 192 pixels", "use a larger picture", groupsPage, ""},
		{131211, 0, "Group create limit reached", 400, Permanent, 0, "the number has as many groups as it is allowed", "delete groups that are no longer used", groupsPage, ""},
		{131212, 0, "Not a participant", 400, Permanent, 0, "the person is not in the group", "invite the person first", groupsPage, ""},
		{131213, 0, "Join request does not exist", 400, Permanent, 0, "the join request was withdrawn, or already answered", "list the join requests again", groupsPage, ""},
		{131214, 0, "Group creation temporarily disabled", 400, Permanent, 0, "Meta has temporarily disabled the creation of groups", "try again another day", groupsPage, ""},
		{131215, 0, "Number not eligible for Groups", 400, Permanent, 0, "the number is not eligible for groups", "raise the number's messaging limit first", groupsPage, ""},

		{132000, 0, "Template Param Count Mismatch", 400, PermanentTemplate, 0, "the message has more or fewer parameters than the template", "compare components with the template: the details at the end of the error message say which part and how many", codesPage, ""},
		{132001, 0, "Template does not exist", 404, PermanentTemplate, 0, "no approved template has this name in this language", "check the name and the language: en and en_US are different", codesPage, ""},
		{132005, 0, "Template Hydrated Text Too Long", 400, PermanentTemplate, 0, "the text is too long once its parameters are filled in", "shorten the parameters", codesPage, ""},
		{132007, 0, "Template Format Character Policy Violated", 400, PermanentTemplate, 0, "the content violates a policy on formats or characters", "change the template or its parameters", codesPage, ""},
		{132008, 0, "Template parameter value invalid", 400, PermanentTemplate, 0, "the value of a parameter has the wrong format", "read the details at the end of the error message: they name the parameter", unlisted, ""},
		{132012, 0, "Template Parameter Format Mismatch", 400, PermanentTemplate, 0, "a parameter has another type than the template requires, such as text where the header is an image", "compare components with the template", codesPage, ""},
		{132015, 0, "Template is Paused", 400, NeedsOtherTemplate, 0, "the template is paused because of its quality: for 3 hours the first time, then 6 hours, then for good", "use another template, or improve this one and wait", codesPage, ""},
		{132016, 0, "Template is Disabled", 400, PermanentTemplate, 0, "the template was paused too often and is disabled for good", "create a new template", codesPage, ""},
		{132018, 0, "Template validation error", 400, PermanentTemplate, 0, "a parameter is not allowed, such as text with a line break, a tab or more than four spaces in a row", "read the details at the end of the error message, and clean the text", codesPage, ""},
		{132068, 0, "Flow is blocked", 400, Permanent, 0, "the WhatsApp Flow is blocked", "fix the WhatsApp Flow in WhatsApp Manager", codesPage, ""},
		{132069, 0, "Flow is throttled", 400, ThrottleFlow, 0, "ten messages with this WhatsApp Flow were sent in the last hour, and its quality allows no more", "fix the WhatsApp Flow in WhatsApp Manager", codesPage, ""},
		{133000, 0, "Incomplete Deregistration", 500, AccountBlocked, 0, "an earlier attempt to deregister the number failed", "deregister the number again, then register it", codesPage, ""},
		{133004, 0, "Server Temporarily Unavailable", 503, Transient, 0, "the server is temporarily unavailable", "wait: it passes by itself", codesPage, ""},
		{133005, 0, "Two step verification PIN Mismatch", 400, AccountBlocked, 0, "the PIN is wrong", "use the correct PIN, or set a new one in WhatsApp Manager", codesPage, ""},
		{133006, 0, "Phone number re-verification needed", 400, AccountBlocked, 0, "the number must be verified before it can be registered", "verify the number", codesPage, ""},
		{133008, 0, "Too Many PIN Guesses", 400, AccountBlocked, 0, "the PIN was entered wrongly too often", "wait as long as the details at the end of the error message say", codesPage, ""},
		{133009, 0, "PIN Guessed Too Fast", 400, AccountBlocked, 0, "the PIN was tried again too soon", "wait as long as the details at the end of the error message say", codesPage, ""},
		{133010, 0, "Phone number Not Registered", 400, AccountBlocked, 0, "the sender number is not registered with the Cloud API", "register the number", codesPage, ""},
		{133015, 0, "Recently deleted number", 400, AccountBlocked, 0, "the number was deleted recently, and the deletion is not complete", "wait five minutes, then register the number", codesPage, ""},
		{133016, 0, "Account register deregister rate limit exceeded", 400, ThrottleAccount, 0, "the number was registered or deregistered more than ten times within 72 hours", "wait until the 72 hours have passed", codesPage, ""},
		{134011, 0, "Payments terms of service not accepted", 400, AccountBlocked, 0, "the payments terms of service have not been accepted", "accept them with the link in the details at the end of the error message", codesPage, ""},
		{134100, 0, "Only marketing messages supported", 400, Permanent, 0, "the Marketing Messages API accepts only marketing templates", "send it through the Cloud API", codesPage, ""},
		{134101, 0, "Your template is still syncing", 400, TransientSlow, 0, "the template is not ready yet: it is new, or has not been used for a long time", "wait ten minutes", codesPage, ""},
		{134102, 0, "Template unavailable for use", 500, AccountBlocked, 0, "the template could not be prepared for marketing messages", "check the template in WhatsApp Manager", codesPage, ""},
		{135000, 0, "Generic user error", 400, Permanent, 0, "the request is wrong, and Meta does not say why", "compare the message with one that works", codesPage, ""},
		{136024, 136025, "Request or verify code error", 400, AccountBlocked, 0, "the verification code for the number is wrong, or could not be requested", "request a new code later", unlisted, ""},
		{137000, 0, "Recipient identity key mismatch", 400, Recipient, 0, "the person has a new phone or has reinstalled WhatsApp", "make sure that it is still the same person before you continue", unlisted, ""},
		{138000, 138023, "Calling errors", 0, Calling, 0, "the Calling API refused the request (138009: too many requests for permission to call; 138017: the permission has already been granted)", "read the details at the end of the error message", callingPage, ""},
		{139000, 139004, "Flow integrity, update or publish error", 400, Permanent, 0, "a WhatsApp Flow could not be changed or published", "check the WhatsApp Flow in WhatsApp Manager", unlisted, ""},
		{139100, 139101, "Block users failed", 400, Permanent, 0, "some people could not be blocked, or the block list is full (64,000 people)", "read the details at the end of the error message", unlisted, ""},
		{139102, 139103, "Block users conflict", 400, Transient, 0, "the block list was being changed at the same time, or Meta had an internal error", "try again", unlisted, ""},
		{147001, 147005, "Username error", 400, Permanent, 0, "the user name cannot be used", "read the details at the end of the error message", bsuidPage, ""},
		{200005, 200007, "Template insights error", 400, Permanent, 0, "the statistics of a template are not available", "turn on template insights in WhatsApp Manager", codesPage, ""},
		{1752041, 0, "Duplicate Request", 400, Permanent, 0, "the same request was sent to the Marketing Messages API twice", "do nothing: the first request counts", codesPage, ""},
		{2388000, 2388999, "Template creation or phone migration error", 400, Permanent, 0, "a template could not be created (2388019: there are too many; 2388040, 2388047, 2388072, 2388073: its format; 2388293, 2388299: its variables), or a number could not be migrated", "read the details at the end of the error message", codesPage, ""},
		{2494100, 0, "Maintenance", 400, Transient, 3 * time.Minute, "the number is under maintenance", "wait: it passes by itself within minutes", codesPage, ""},
		{2494164, 2494179, "Sign-up error", 400, Permanent, 0, "the sign-up failed, or terms were not accepted", "read the details at the end of the error message", unlisted, ""},
		{2593107, 2593108, "Synchronization error", 400, Permanent, 0, "synchronization was requested too often or too late", "read the details at the end of the error message", codesPage, ""},
		{2593109, 0, "History sync is turned off", 0, Permanent, 0, "the business does not share the chat history of its WhatsApp Business app", "if you need the history, have it turned on in that app", historyPage, ""},
	}
}

// onPremises returns which code of the Cloud API took the place of one of the
// On-Premises API, which delivers nothing since October 2025.
func onPremises(code int64) (cloud int64, ok bool) {
	switch code {
	case 402:
		return 131042, true
	case 429, 1015:
		return 130429, true
	case 470:
		return 131047, true
	case 471:
		return 131048, true
	case 472:
		return 130472, true
	case 1005:
		return 131005, true
	case 1008:
		return 131008, true
	case 1009:
		return 131009, true
	case 1016:
		return 131016, true
	case 1026:
		return 131026, true
	case 1031:
		return 131031, true
	case 2000, 2001, 2005, 2007, 2012, 2015, 2016:
		return code + 130000, true
	}
	return 0, false
}
