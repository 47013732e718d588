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
		e.Title += fmt.Sprintf(" (%d on the On-Premises API, which delivers nothing since October 2025; now %d)", code, cloud)
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

const newToken = "make a token of a system user that has whatsapp_business_messaging on this account, and store it: facteur vault set"

// catalogue returns the codes, in order. An exact code goes before a range.
func catalogue() []Explanation {
	return []Explanation{
		{0, 0, "AuthException", 401, Auth, 0, "the token expired, was invalidated, or access was revoked", newToken, codesPage, ""},
		{1, 0, "API Unknown", 400, TransientMaybe, 0, "an invalid request, or a fault at Meta", "look at the request if it happens again", codesPage, ""},
		{2, 0, "API Service", 503, Transient, 0, "the API is down or overloaded", "nothing: it passes; see Meta's status page if it lasts", codesPage, ""},
		{3, 0, "API Method", 500, Auth, 0, "the app may not do this; despite the status 500 it is about permissions", "give the app the permission whatsapp_business_messaging", codesPage, ""},
		{4, 0, "API Too Many Calls", 400, ThrottleApp, 0, "the app is over its number of calls per hour", "spread the calls, or ask Meta for more", codesPage, ""},
		{10, 0, "Permission Denied", 403, Auth, 0, "a permission is missing or was taken away", "give the system user the account and the permission whatsapp_business_messaging", codesPage, ""},
		{17, 0, "User request limit reached", 429, ThrottleApp, 0, "the user of the token is over the number of calls", "use a token of a system user, and spread the calls", openAPI, ""},
		{33, 0, "Parameter value is not valid", 400, AccountBlocked, 0, "the sender phone ID does not exist, was deleted, or the token may not see it", "check sender_phone_id, and give the system user the account: facteur vault check", codesPage, ""},
		{100, 0, "Invalid parameter", 400, Permanent, 0, "a parameter is unknown, misspelt, too long, or names something that does not exist", "read details: it names the parameter", codesPage, ""},
		{102, 0, "Session/API session", 401, Auth, 0, "the session of the token has ended", newToken, graphPage, ""},
		{104, 0, "Access token required", 401, Auth, 0, "no token was sent", "store a token in the connection: facteur vault set", codesPage, ""},
		{190, 0, "Access token has expired", 401, Auth, 0, "the token has expired or is invalid; a token from the dashboard lives for a day", newToken, codesPage, ""},
		{200, 0, "API Permission", 403, Auth, 0, "a permission is missing, or no token was sent", "give the system user the account and the permission whatsapp_business_messaging", codesPage, ""},
		{200, 299, "API Permission", 403, Auth, 0, "a permission is missing or was taken away", "give the system user the account and the permission whatsapp_business_messaging", codesPage, ""},
		{368, 0, "Temporarily blocked for policies violations", 403, AccountBlocked, 0, "the account is restricted or disabled for breaking a policy", "see the account's quality page in WhatsApp Manager, and appeal there", codesPage, ""},
		{501, 0, "Unknown message type", 0, InboundFault, 0, "somebody sent a kind of message that the API does not pass on", "ask the person to write it as a text", inboundPage, ""},
		{613, 0, "Calls to this API have exceeded the rate limit", 429, ThrottleApp, 0, "too many calls of this kind", "spread the calls", callingPage, ""},
		{803, 0, "Object not found", 404, Permanent, 0, "there is no object of that ID", "check the ID: a phone number ID is not a phone number", openAPI, ""},
		{2500, 0, "Unknown path components", 400, Permanent, 0, "the address that was called is none of the API's", "check sender_phone_id, and base_url and api_version of the connection", graphPage, ""},
		{2046, 2047, "Invalid order status transition", 400, Permanent, 0, "an order cannot go from its state to this one", "send the states of an order in their order; a paid order cannot be cancelled", paymentsPage, ""},
		{80007, 0, "Rate limit issues", 400, ThrottleWABA, 0, "the WhatsApp Business Account is over its number of calls per hour", "spread the calls over the hour", codesPage, ""},

		{130403, 0, "Business blocked the user", 400, Recipient, 0, "your business has blocked this person", "unblock the person to write again", codesPage, ""},
		{130429, 0, "Rate limit hit", 400, ThrottleNumber, 0, "the sender number is over its messages per second (80 unless Meta raised it)", "lower the concurrency of the flow, or use more numbers", codesPage, ""},
		{130472, 0, "User's number is part of an experiment", 400, Recipient, 0, "Meta withholds marketing from a group of people to measure it", "reach the person in another way: this message will always fail", codesPage, ""},
		{130497, 0, "Business account is restricted from messaging users in this country", 403, AccountRecipient, 0, "the account may not write to this country", "leave the country out, or see which business categories Meta allows there", codesPage, ""},
		{131000, 0, "Something went wrong", 500, Transient, 0, "a fault at Meta", "if it lasts, open a case with Direct Support and give the fbtrace_id", codesPage, ""},
		{131005, 0, "Access denied", 403, Auth, 0, "a permission is missing or was taken away", "give the system user the account and the permission whatsapp_business_messaging", codesPage, ""},
		{131008, 0, "Required parameter is missing", 400, Permanent, 0, "something required is missing or empty, such as the text of a template parameter or the index of a button", "read details: it names the parameter", codesPage, ""},
		{131009, 0, "Parameter value is not valid", 400, Permanent, 0, "a value is wrong; or a reaction to a message that is deleted, unknown or over 30 days old", "read details: it names the parameter", codesPage, ""},
		{131016, 0, "Service unavailable", 500, Transient, 0, "a part of the API is not available for now", "nothing: it passes", codesPage, ""},
		{131020, 0, "Bad Group", 400, Recipient, 0, "the group has no other member", "wait until somebody has joined", groupsPage, ""},
		{131021, 0, "Recipient cannot be sender", 400, Permanent, 0, "sender and recipient are the same number", "send to another number", codesPage, ""},
		{131026, 0, "Message Undeliverable", 400, Recipient, 0, "the number is not on WhatsApp, its app is too old, the person has not accepted the terms, or has blocked you", "check the number, or reach the person in another way; sending again does not help", codesPage, ""},
		{131030, 0, "Recipient phone number not in allowed list", 400, RecipientTest, 0, "the sender is Meta's test number, which only writes to its list of five", "add the recipient to the list in the app's dashboard, or send from your own number", callingPage, ""},
		{131031, 0, "Account has been locked", 403, AccountBlocked, 0, "the account is locked for breaking a policy, or a PIN was wrong", "see the account's quality page in WhatsApp Manager", codesPage, ""},
		{131037, 0, "Display name approval needed", 400, AccountBlocked, 0, "the number that WhatsApp provided has no approved display name", "have a display name approved in WhatsApp Manager", codesPage, ""},
		{131041, 0, "Group unknown", 400, Recipient, 0, "there is no such group, or the business is no member of it", "check the group's ID", groupsPage, ""},
		{131042, 0, "Business eligibility payment issue", 400, AccountBlocked, 0, "there is no way to pay for the message: no payment method, a credit line used up, no currency or time zone set", "settle it in Billing Hub of the business portfolio", codesPage, ""},
		{131044, 0, "Payment issue", 400, AccountBlocked, 0, "there is no valid payment method for calls", "add one in Billing Hub", callingPage, ""},
		{131045, 0, "Incorrect certificate", 500, AccountBlocked, 0, "the number is not registered correctly", "register the number again", codesPage, ""},
		{131047, 0, "Re-engagement message", 400, NeedsTemplate, 0, "more than 24 hours have passed since the person last wrote to you", "send a template: give the step a `fallback`", codesPage, ""},
		{131048, 0, "Spam rate limit hit", 400, ThrottleQuality, 0, "too many people blocked or reported the number", "stop, look at the quality rating, and write only to people who expect it", codesPage, ""},
		{131049, 0, "Meta chose not to deliver", 400, RecipientMarketing, 0, "this person gets too much marketing, or is in a country where Meta delivers none", "wait a day or more, and only then send again if it still matters", codesPage, ""},
		{131050, 0, "User has stopped receipt of marketing messages", 400, RecipientOptOut, 0, "this person has opted out of marketing from you", "take the person off your marketing list", codesPage, ""},
		{131051, 0, "Unsupported message type", 400, Permanent, 0, "this type of message is not supported here", "use another message_type", codesPage, ""},
		{131052, 0, "Media download error", 400, InboundFault, 0, "a file that a person sent could not be fetched", "ask the person to send it again", codesPage, ""},
		{131053, 0, "Media upload error", 400, PermanentMedia, 0, "the file could not be fetched or used: the address does not answer, the kind is wrong, the codec is not supported", "check that the link is public, and that the file's content type, codec and size are allowed", codesPage, ""},
		{131055, 0, "Method not allowed", 400, Permanent, 0, "this kind of message is not allowed here: the Marketing Messages API takes only marketing templates", "use the Cloud API for it", codesPage, ""},
		{131056, 0, "(Business Account, Consumer Account) pair rate limit hit", 400, ThrottlePair, 0, "too many messages from this number to this person: one every 6 seconds, 45 in a burst", "send fewer, longer messages", codesPage, ""},
		{131057, 0, "Account in maintenance mode", 500, Transient, time.Minute, "the number is being upgraded, for about a minute", "nothing: it passes", codesPage, ""},
		{131058, 0, "Hello World templates can only be sent from Public Test Numbers", 400, PermanentTemplate, 0, "the template hello_world is only for Meta's test numbers", "make a template of your own", unlisted, ""},
		{131059, 0, "Invalid cursor", 400, Permanent, 0, "a paging cursor has expired", "begin again without a cursor", codesPage, ""},
		{131060, 0, "Message unavailable", 0, InboundFault, 0, "what somebody sent is not passed on, such as a message that disappears", "ask the person to write it as a text", inboundPage, ""},
		{131062, 0, "BSUID recipient not supported", 400, Permanent, 0, "this message cannot go to a business-scoped user ID: authentication templates need a phone number", "send to the phone number", bsuidPage, ""},
		{131063, 0, "Marketing templates disabled on Cloud API", 400, Permanent, 0, "the account sends marketing templates only through the Marketing Messages API", "turn marketing messages on Cloud API on again, in the account's settings", codesPage, ""},
		{131064, 0, "Messaging limit reached due to template classification violations", 400, ThrottleAccount, 0, "templates were given the wrong category too often", "wait until the limit is lifted, and correct the categories", codesPage, ""},
		{131201, 0, "Request partially succeeded", 206, Permanent, 0, "a change of a group was made for some members only", "read details, and repeat it for the others", groupsPage, ""},
		{131202, 0, "Duplicate participant", 400, Permanent, 0, "a person is named twice", "name each person once", groupsPage, ""},
		{131204, 0, "Participant overlimit", 400, Permanent, 0, "a group holds eight people at most", "use another group", groupsPage, ""},
		{131207, 0, "Group suspended", 403, Permanent, 0, "the group is suspended", "use another group", groupsPage, ""},
		{131208, 0, "Group rate limit hit", 429, ThrottleNumber, 0, "too many group messages from this number", "send fewer", groupsPage, ""},
		{131209, 0, "Group picture not square", 400, Permanent, 0, "the picture of a group must be square", "cut the picture", groupsPage, ""},
		{131210, 0, "Group picture too small", 400, Permanent, 0, "the picture of a group must have 192 pixels a side at least", "use a larger picture", groupsPage, ""},
		{131211, 0, "Group create limit reached", 400, Permanent, 0, "the number has as many groups as it may have", "delete groups that nobody uses", groupsPage, ""},
		{131212, 0, "Not a participant", 400, Permanent, 0, "the person is not in the group", "invite the person first", groupsPage, ""},
		{131213, 0, "Join request does not exist", 400, Permanent, 0, "the request to join was withdrawn or answered", "list the requests again", groupsPage, ""},
		{131214, 0, "Group creation temporarily disabled", 400, Permanent, 0, "Meta lets nobody create groups for now", "try again another day", groupsPage, ""},
		{131215, 0, "Number not eligible for Groups", 400, Permanent, 0, "the number may not use groups", "raise the number's messaging limit first", groupsPage, ""},

		{132000, 0, "Template Param Count Mismatch", 400, PermanentTemplate, 0, "the template has another number of parameters than the message gives", "compare components with the template: details says which part and how many", codesPage, ""},
		{132001, 0, "Template does not exist", 404, PermanentTemplate, 0, "there is no approved template of that name in that language", "check name and language: en and en_US are different", codesPage, ""},
		{132005, 0, "Template Hydrated Text Too Long", 400, PermanentTemplate, 0, "with its parameters filled in, the text is too long", "shorten the parameters", codesPage, ""},
		{132007, 0, "Template Format Character Policy Violated", 400, PermanentTemplate, 0, "the content breaks a policy on formats or characters", "change the template or its parameters", codesPage, ""},
		{132008, 0, "Template parameter value invalid", 400, PermanentTemplate, 0, "the value of a parameter is formatted wrongly", "read details: it names the parameter", unlisted, ""},
		{132012, 0, "Template Parameter Format Mismatch", 400, PermanentTemplate, 0, "a parameter is of another type than the template wants, such as a text where its header is an image", "compare components with the template", codesPage, ""},
		{132015, 0, "Template is Paused", 400, NeedsOtherTemplate, 0, "the template is paused for its quality: 3 hours, then 6, then for good", "use another template, or wait and make it better", codesPage, ""},
		{132016, 0, "Template is Disabled", 400, PermanentTemplate, 0, "the template was paused too often and is disabled for good", "make a new template", codesPage, ""},
		{132018, 0, "Template validation error", 400, PermanentTemplate, 0, "a parameter is not allowed, such as a text with a line break, a tab or more than four spaces in a row", "read details, and clean the text", codesPage, ""},
		{132068, 0, "Flow is blocked", 400, Permanent, 0, "the WhatsApp Flow is blocked", "mend the Flow in WhatsApp Manager", codesPage, ""},
		{132069, 0, "Flow is throttled", 400, ThrottleFlow, 0, "ten messages with this WhatsApp Flow were sent in the last hour, and its quality allows no more", "mend the Flow in WhatsApp Manager", codesPage, ""},
		{133000, 0, "Incomplete Deregistration", 500, AccountBlocked, 0, "an earlier deregistration of the number failed", "deregister the number again, then register it", codesPage, ""},
		{133004, 0, "Server Temporarily Unavailable", 503, Transient, 0, "the server is not available for now", "nothing: it passes", codesPage, ""},
		{133005, 0, "Two step verification PIN Mismatch", 400, AccountBlocked, 0, "the PIN is wrong", "use the right PIN, or set a new one in WhatsApp Manager", codesPage, ""},
		{133006, 0, "Phone number re-verification needed", 400, AccountBlocked, 0, "the number must be verified before it is registered", "verify the number", codesPage, ""},
		{133008, 0, "Too Many PIN Guesses", 400, AccountBlocked, 0, "the PIN was wrong too often", "wait as long as details says", codesPage, ""},
		{133009, 0, "PIN Guessed Too Fast", 400, AccountBlocked, 0, "the PIN was tried again too soon", "wait as long as details says", codesPage, ""},
		{133010, 0, "Phone number Not Registered", 400, AccountBlocked, 0, "the sender number is not registered on the Cloud API", "register the number", codesPage, ""},
		{133015, 0, "Recently deleted number", 400, AccountBlocked, 0, "the number was just deleted, and that is not over yet", "wait five minutes, then register it", codesPage, ""},
		{133016, 0, "Account register deregister rate limit exceeded", 400, ThrottleAccount, 0, "the number was registered more than ten times in 72 hours", "wait until the 72 hours are over", codesPage, ""},
		{134011, 0, "Payments terms of service not accepted", 400, AccountBlocked, 0, "the terms of payments are not accepted", "accept them with the link in details", codesPage, ""},
		{134100, 0, "Only marketing messages supported", 400, Permanent, 0, "the Marketing Messages API takes only marketing templates", "send it through the Cloud API", codesPage, ""},
		{134101, 0, "Your template is still syncing", 400, TransientSlow, 0, "a new template, or one not used for long, is not ready yet", "wait ten minutes", codesPage, ""},
		{134102, 0, "Template unavailable for use", 500, AccountBlocked, 0, "the template could not be made ready for marketing messages", "see the template in WhatsApp Manager", codesPage, ""},
		{135000, 0, "Generic user error", 400, Permanent, 0, "something in the request is wrong, and Meta does not say what", "compare the message with one that works", codesPage, ""},
		{136024, 136025, "Request or verify code error", 400, AccountBlocked, 0, "the code to verify the number could not be requested or is wrong", "request a new code, later", unlisted, ""},
		{137000, 0, "Recipient identity key mismatch", 400, Recipient, 0, "the person has a new phone or installed WhatsApp again", "make sure that it is the same person before you go on", unlisted, ""},
		{138000, 138023, "Calling errors", 0, Calling, 0, "the Calling API refused it; 138009: too many requests for a permission to call, 138017: the permission is there already", "read details", callingPage, ""},
		{139000, 139004, "Flow integrity, update or publish error", 400, Permanent, 0, "a WhatsApp Flow could not be changed or published", "see the Flow in WhatsApp Manager", unlisted, ""},
		{139100, 139101, "Block users failed", 400, Permanent, 0, "some people could not be blocked, or the list of 64,000 is full", "read details", unlisted, ""},
		{139102, 139103, "Block users conflict", 400, Transient, 0, "the list of blocked people was being changed, or a fault at Meta", "try again", unlisted, ""},
		{147001, 147005, "Username error", 400, Permanent, 0, "the user name cannot be used", "read details", bsuidPage, ""},
		{200005, 200007, "Template insights error", 400, Permanent, 0, "the figures of a template are not available", "turn insights on in WhatsApp Manager", codesPage, ""},
		{1752041, 0, "Duplicate Request", 400, Permanent, 0, "the Marketing Messages API was asked for twice", "nothing: the first request counts", codesPage, ""},
		{2388000, 2388999, "Template creation or phone migration error", 400, Permanent, 0, "a template could not be made (2388019: too many; 2388040, 2388047, 2388072, 2388073: a format; 2388293, 2388299: the variables), or a number not migrated", "read details", codesPage, ""},
		{2494100, 0, "Maintenance", 400, Transient, 3 * time.Minute, "the number is being maintained", "nothing: it passes within minutes", codesPage, ""},
		{2494164, 2494179, "Sign-up error", 400, Permanent, 0, "signing up failed, or terms were not accepted", "read details", unlisted, ""},
		{2593107, 2593108, "Synchronization error", 400, Permanent, 0, "the request to synchronize was made too often or too late", "read details", codesPage, ""},
		{2593109, 0, "History sync is turned off", 0, Permanent, 0, "the business does not share the chat history of its WhatsApp Business app", "have it turned on in the app, if it is needed", historyPage, ""},
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
