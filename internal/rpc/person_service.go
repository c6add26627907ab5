package rpc

import (
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/people"
)

// personService is yipan.ledger.v1.PersonService.
type personService struct {
	ledgerv1.UnimplementedPersonServiceServer
	people *people.People
}
