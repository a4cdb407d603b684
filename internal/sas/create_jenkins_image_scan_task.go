package sas

import (
	"context"

	"portolan/internal/report"
	"portolan/internal/rpc"
)

type createJenkinsImageScanTaskRequest struct {
	Token         string `required:"true" range:",128" in:"body" doc:"The token of the CI/CD registry." example:"c3de8326-273e-11fc-a0e3-d012435c0000"`
	report.Fields `in:"body"`
	claimed
}

type createJenkinsImageScanTaskResponse struct {
	Data report.Receipt `doc:"What was recorded."`
}

func (s *Service) createJenkinsImageScanTask() rpc.Endpoint {
	return rpc.Operation[createJenkinsImageScanTaskRequest, createJenkinsImageScanTaskResponse]{
		Spec: vendor("CreateJenkinsImageScanTask", rpc.Write, "Reports an image that a build made.", `
The same image again (registry, Namespace, RepoName, Tag, Digest) is the same Uuid, and a new task. A new digest under a
known tag takes the tag along. Without a digest, the image that has the tag is meant; if none has it, one of unknown
digest is made, which becomes that of the digest that is reported for the tag later. When the call is answered, the
report is in the store. Builds without an access key report to /reports/<Id> of the registry.`,
			rpc.Err{Code: "NoPermission", Status: 403, Doc: "The token is not one of the account's registries, or the caller's address is refused by BlackList or WhiteList."},
			rpc.Err{Code: "MissingTag", Status: 400, Doc: "Neither Tag nor Digest is given."},
			rpc.Err{Code: "LimitExceeded.Image", Status: 400, Doc: "The registry holds 1,000,000 reported images."}),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *createJenkinsImageScanTaskRequest) (*createJenkinsImageScanTaskResponse, error) {
			r, err := s.Reports.Holder(ctx, caller.Principal.AccountID, req.Token, caller.Peer)
			if err != nil {
				return nil, err
			}
			receipt, err := s.Reports.Submit(ctx, r, &req.Fields)
			if err != nil {
				return nil, err
			}
			return &createJenkinsImageScanTaskResponse{*receipt}, nil
		},
	}.Endpoint()
}
