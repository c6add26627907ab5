// Package post delivers messages to offices: HTTPS webhooks and e-mail by SMTP.
// It knows no office and no case; addresses and texts are given to it. Secrets
// come from files.
package post
