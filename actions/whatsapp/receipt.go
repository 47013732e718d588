package whatsapp

// receiptData is the content of a status webhook, as Data of a call.Receipt. A real one
// always has the message's id; flow tests may leave it out.
type receiptData struct {
	MessageID string        `json:"message_id,omitempty" doc:"The message that this receipt is about." schema:"default=wamid.FROM-RECEIPT"`
	WaID      string        `json:"wa_id,omitempty" doc:"The recipient as WhatsApp knows them."`
	UserID    string        `json:"user_id,omitempty" doc:"Their user ID, where Meta says it."`
	Error     *receiptError `json:"error,omitempty" doc:"For failed: why."`
}

type receiptError struct {
	Code    string `json:"code" doc:"Meta's code, e.g. 131047." schema:"required"`
	Title   string `json:"title,omitempty" doc:"Meta's name for it."`
	Message string `json:"message,omitempty" doc:"The same, as newer webhooks repeat it."`
	Details string `json:"details,omitempty" doc:"From error_data."`
}
