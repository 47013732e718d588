package project

import (
	"fmt"
	"sync"
	"time"

	"facteur/flow/schema"
	"facteur/vault"
)

// FileName is the name of the project file.
const FileName = "facteur.yaml"

// File is what the project file holds.
type File struct {
	Flows       []string              `json:"flows,omitempty" doc:"Folders or files of flows, relative to this file. Default: this folder."`
	Settings    map[string]any        `json:"settings,omitempty" doc:"Plain values that expressions read as settings.<name>."`
	Vault       Vault                 `json:"vault,omitempty" doc:"Where connections are kept, besides the encrypted file in the data folder."`
	Connections map[string]Connection `json:"connections,omitempty" doc:"The connections that flows use, by name. Never secrets."`
	HTTP        HTTP                  `json:"http,omitempty" doc:"What http.request may reach."`
	Server      Server                `json:"server,omitempty" doc:"The daemon: facteur serve."`
	Temporal    Temporal              `json:"temporal,omitempty" doc:"The Temporal server that executes runs if server.engine is temporal."`
	Ledger      Ledger                `json:"ledger,omitempty" doc:"Where the state of contacts and messages is kept. Default: a file in the data folder."`
	Data        string                `json:"data,omitempty" doc:"The data folder: journal, encrypted connections. Default: ./data" schema:"default=./data"`
}

// Vault is where connections are kept.
type Vault struct {
	Hashicorp *Hashicorp `json:"hashicorp,omitempty" doc:"A HashiCorp Vault server."`
	KeyFile   string     `json:"key_file,omitempty" doc:"The key of the encrypted file and of other encrypted data. Default: vault.key in the data folder, made on first use."`
}

// Hashicorp is a server of HashiCorp Vault.
type Hashicorp struct {
	Address   string        `json:"address,omitempty" doc:"https://vault.internal:8200" schema:"required"`
	Namespace string        `json:"namespace,omitempty" doc:"The namespace of the enterprise edition."`
	CACert    string        `json:"ca_cert,omitempty" doc:"A PEM file to trust instead of the system's certificates."`
	Timeout   time.Duration `json:"timeout,omitempty" doc:"How long one operation may take, including retries. Default: 5s."`
	Auth      Auth          `json:"auth,omitempty" doc:"How to log in: exactly one method." schema:"required"`
}

// Auth is how to log in there.
type Auth struct {
	TokenFile string   `json:"token_file,omitempty" doc:"A file that holds a token."`
	AppRole   *AppRole `json:"approle,omitempty" doc:"Log in with a role ID and a secret ID."`
}

// AppRole is to log in as a machine.
type AppRole struct {
	Mount        string `json:"mount,omitempty" doc:"The mount of the auth method. Default: approle."`
	RoleID       string `json:"role_id,omitempty" doc:"The role ID, or role_id_file."`
	RoleIDFile   string `json:"role_id_file,omitempty" doc:"A file that holds the role ID."`
	SecretIDFile string `json:"secret_id_file,omitempty" doc:"A file that holds the secret ID; read at every login." schema:"required"`
}

// A Connection holds the plain fields of a connection.
type Connection struct {
	App           string   `json:"app" doc:"What the connection is for." schema:"required,enum=WHATSAPP|HTTP|WEBHOOK"`
	Vault         *Mapping `json:"vault,omitempty" doc:"Where its secrets are in HashiCorp Vault. Without it they are in the encrypted file."`
	Type          string   `json:"type,omitempty" doc:"WHATSAPP: TOKEN. HTTP: bearer, basic or header. WEBHOOK: hmac or shared."`
	SenderPhoneID string   `json:"sender_phone_id,omitempty" doc:"The phone number ID of Meta that sends if the step names none." schema:"pattern=^[0-9]+$"`
	WabaID        string   `json:"waba_id,omitempty" doc:"The ID of the WhatsApp Business Account."`
	BusinessID    string   `json:"business_id,omitempty" doc:"The ID of the business portfolio, not of the WABA."`
	Rate          int      `json:"messages_per_second,omitempty" doc:"WHATSAPP: how many messages a second Meta lets each phone number send; 1000 if its throughput is HIGH. Default: 80." schema:"minimum=1,maximum=1000"`
	APIVersion    string   `json:"api_version,omitempty" doc:"The Graph version, e.g. v23.0."`
	BaseURL       string   `json:"base_url,omitempty" doc:"Another address of the API, e.g. a proxy."`
	Username      string   `json:"username,omitempty" doc:"HTTP basic: the user name."`
	Header        string   `json:"header,omitempty" doc:"HTTP header, WEBHOOK: the name of the header."`
}

// SchemaType is the fields' schema, which also refuses secret fields with a hint.
func (Connection) SchemaType() *schema.Type { return connectionType() }

var connectionType = sync.OnceValue(func() *schema.Type {
	type fields Connection
	t := schema.Of[fields]()
	sender := t.Field("sender_phone_id")
	id := *sender.Type
	id.Rule, id.Hint = "pattern", "write the phone number ID of Meta, which has only digits; it is not the phone number"
	sender.Type = &id
	t.DetectMistake = func(v any) (found schema.Violations) {
		object, _ := v.(map[string]any)
		for _, app := range vault.Apps() {
			for _, f := range vault.Fields(app) {
				if _, ok := object[f.Name]; ok && f.Secret {
					found = append(found, schema.Violation{Path: schema.Path{f.Name}, Rule: "unknown-field", OnKey: true, Hidden: true, Message: fmt.Sprintf("no field %q", f.Name),
						Hint: "secrets belong in the vault: remove it from the file, and store it with \"facteur vault set NAME\""})
				}
			}
		}
		return found
	}
	return t
})

// A Mapping says where the secrets of a connection are in HashiCorp Vault.
type Mapping struct {
	Mount  string            `json:"mount,omitempty" doc:"The mount of the KV engine." schema:"required"`
	Path   string            `json:"path,omitempty" doc:"The path of the secret in it." schema:"required"`
	KV     int               `json:"kv,omitempty" doc:"The version of the KV engine, 1 or 2. Default: detected." schema:"minimum=1,maximum=2"`
	Fields map[string]string `json:"fields,omitempty" doc:"Maps fields of the connection to keys of the secret. Default: the same names."`
}

// HTTP is what http.request may reach.
type HTTP struct {
	AllowHosts   []string `json:"allow_hosts,omitempty" doc:"The hosts that http.request may reach, e.g. api.shop.test or *.shop.test. Default: every host with a public address."`
	AllowPrivate bool     `json:"allow_private,omitempty" doc:"Also reach private and loopback addresses. For development."`
	MaxBody      int      `json:"max_body,omitempty" doc:"The size of the largest response that is read, in bytes. Default: 1 MiB." schema:"minimum=1,maximum=67108864"`
}

// Temporal is how to reach a Temporal server.
type Temporal struct {
	Address    string       `json:"address,omitempty" doc:"temporal.internal:7233. Default: TEMPORAL_ADDRESS."`
	Namespace  string       `json:"namespace,omitempty" doc:"It must exist; its retention is how long runs are kept after their end. Default: TEMPORAL_NAMESPACE, then default."`
	TaskQueue  string       `json:"task_queue,omitempty" doc:"The task queue that the daemons of this project share; each project in a namespace needs its own. Default: facteur."`
	TLS        *TemporalTLS `json:"tls,omitempty" doc:"Use TLS to connect to the server; {} trusts the system's certificates. Default with an API key: {}."`
	APIKeyFile string       `json:"api_key_file,omitempty" doc:"A file that holds an API key; read again when it changes. Default: the key in TEMPORAL_API_KEY, if set."`
}

// TemporalTLS is how to speak TLS with it.
type TemporalTLS struct {
	CACert     string `json:"ca_cert,omitempty" doc:"A PEM file to trust instead of the system's certificates."`
	Cert       string `json:"cert,omitempty" doc:"A PEM file with the client certificate; read again with each connection."`
	Key        string `json:"key,omitempty" doc:"A PEM file with the private key of the certificate."`
	ServerName string `json:"server_name,omitempty" doc:"The name in the server's certificate. Default: the host of the address."`
}

// Ledger is where it is kept what is known of contacts and messages.
type Ledger struct {
	Postgres string `json:"postgres,omitempty" doc:"postgres://facteur@db.internal:5432/facteur?sslmode=verify-full: a database that several daemons share. The password is in PGPASSWORD or in a passfile, never here."`
}

// The engines of a daemon.
const (
	EngineLocal    = "local"
	EngineTemporal = "temporal"
)

// Server is how the daemon works.
type Server struct {
	Engine           string        `json:"engine,omitempty" doc:"What executes runs: local, this daemon alone, or temporal, several daemons with a Temporal server. Default: local." schema:"enum=local|temporal"`
	KeysFile         string        `json:"keys_file,omitempty" doc:"The file of API keys, which holds only their hashes. Default: keys.json in the data folder."`
	Listen           string        `json:"listen,omitempty" doc:"The address to listen on. Addresses other than loopback require API keys. Default: 127.0.0.1:8080."`
	PublicURL        string        `json:"public_url,omitempty" doc:"The public URL of the daemon, e.g. https://facteur.shop.test. Webhooks are sent there."`
	TLSCert          string        `json:"tls_cert,omitempty" doc:"A PEM file with the certificate and its chain. Without it the daemon serves plain HTTP, for use behind a proxy."`
	TLSKey           string        `json:"tls_key,omitempty" doc:"A PEM file with the private key of the certificate."`
	InsecureWebhooks bool          `json:"insecure_webhooks,omitempty" doc:"Start even if a WHATSAPP connection has no app_secret, and accept its webhooks unsigned. For development."`
	LogFormat        string        `json:"log_format,omitempty" doc:"Default: text." schema:"enum=text|json"`
	ShowPhoneNumbers bool          `json:"show_phone_numbers,omitempty" doc:"Show full phone numbers in log lines, which otherwise show only their last digits."`
	Workers          int           `json:"workers,omitempty" doc:"How many runs execute at the same time; waiting runs do not count. Default: 1024." schema:"minimum=1,maximum=65536"`
	Retention        time.Duration `json:"retention,omitempty" doc:"How long runs are kept after their end. Default: 90d."`
}
