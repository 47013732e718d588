package project

import "facteur/vault"

// suggestConnections returns the known connections if the given one is not known. The vault's
// answers are cached.
func (p *Project) suggestConnections(name string) []string {
	if _, ok := p.Connections[name]; ok {
		return nil
	}
	if known, asked := p.suggestions.Load(name); asked {
		return known.([]string)
	}
	var known []string
	if v, err := vault.New(p.vaultConfig()); err == nil { // else the command that needs the vault says so
		known = v.Others(name)
		_ = v.Close()
	}
	p.suggestions.Store(name, known)
	return known
}

// OpenVault opens the project's vault for one command. No backend is asked for fixed connections.
func (p *Project) OpenVault(fixed map[string]vault.Connection) (*vault.Vault, error) {
	// Without a cache: a token that is rotated while a run goes on is used by its next call.
	c := p.vaultConfig()
	c.Fixed, c.CacheFor = fixed, -1
	return openVault(c)
}

func (p *Project) vaultConfig() vault.Config {
	c := vault.Config{Dir: p.Abs(p.Data), KeyFile: p.Abs(p.Vault.KeyFile), Env: p.Env, Connections: map[string]vault.Mapping{}}
	if p.Secrets != "" {
		c.Dir, c.SealDir = p.Secrets, p.Abs(p.Data)
	}
	if h := p.Vault.Hashicorp; h != nil {
		c.Hashicorp = &vault.Hashicorp{
			Address: h.Address, Namespace: h.Namespace, CACert: p.Abs(h.CACert), Timeout: h.Timeout, TokenFile: p.Abs(h.Auth.TokenFile),
		}
		if r := h.Auth.AppRole; r != nil {
			c.Hashicorp.AppRole = &vault.AppRole{Mount: r.Mount, RoleID: r.RoleID, RoleIDFile: p.Abs(r.RoleIDFile), SecretIDFile: p.Abs(r.SecretIDFile)}
		}
	}
	for name, f := range p.Connections {
		m := vault.Mapping{App: vault.App(f.App), Setup: f.setup()}
		if f.Vault != nil {
			m.Mount, m.Path, m.KV, m.Fields = f.Vault.Mount, f.Vault.Path, f.Vault.KV, f.Vault.Fields
		}
		c.Connections[name] = m
	}
	return c
}

// DaemonVault opens the project's vault for a long-lived process, with a cache.
func (p *Project) DaemonVault() (*vault.Vault, error) { return openVault(p.vaultConfig()) }

func openVault(c vault.Config) (*vault.Vault, error) {
	v, err := vault.New(c)
	if err != nil {
		return nil, UserError("", "%w", err)
	}
	return v, nil
}

func (f Connection) setup() map[string]string {
	setup := map[string]string{}
	for key, value := range map[string]string{
		"type": f.Type, "sender_phone_id": f.SenderPhoneID, "waba_id": f.WabaID, "business_id": f.BusinessID,
		"api_version": f.APIVersion, "base_url": f.BaseURL, "username": f.Username, "header": f.Header,
	} {
		if value != "" {
			setup[key] = value
		}
	}
	return setup
}
