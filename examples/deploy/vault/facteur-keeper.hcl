# For people who keep the secrets with `facteur vault set` and `facteur vault rm`. The daemon
# has no use for it.
#
#   vault policy write facteur-keeper facteur-keeper.hcl

path "kv/data/messaging/shop" {
  capabilities = ["read", "create", "update", "delete"]
}
