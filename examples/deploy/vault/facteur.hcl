# All that `facteur run` and `facteur serve` need: to read the secrets that facteur.yaml maps
# its connections to, each by its path. Facteur never lists, and never asks what else there is.
#
#   vault policy write facteur facteur.hcl
#   vault write auth/approle/role/facteur token_policies=facteur token_ttl=1h token_max_ttl=24h
#
# Version 2 of the key-value engine has data/ after the mount, version 1 has not:
# "kv1/messaging/shop". That a token may look itself up and renew itself comes from Vault's
# default policy; a token without it works as long as it lives.

path "kv/data/messaging/shop" {
  capabilities = ["read"]
}
