//! Voting (Chu et al., SIGMOD 2024, section 5): a leader asks all participants and answers when all have agreed. The
//! smallest protocol with the traffic of two-phase commit.

pub mod voting_scaled;

anabranch::protocol! {
    /// A leader asks every participant for its vote.
    protocol voting;

    role leader;
    role participant;

    request propose(payload: Bytes) -> () at leader;
    message ask(from: leader, ballot: Id, req: Req, payload: Bytes) to participant;
    message vote(ballot: Id, req: Req, by: participant) to leader;

    at leader {
        event begin(ballot: Id, req: Req, payload: Bytes);
        begin(unique(), req, payload) <= propose(req, payload);
        ask(me, ballot, req, payload) @ p <~ begin(ballot, req, payload), participant(p);

        table votes(ballot: Id, req: Req, by: participant);
        votes(ballot, req, by) <= vote(ballot, req, by);
        view tally(ballot, req => count(by)) <= votes(ballot, req, by);
        view unanimous(ballot, req) <= tally(ballot, req, n), if n == participant.len();
        on new unanimous(ballot, req) {
            reply propose(req) <~;
            votes(ballot, req, _) <-;
        }
    }

    at participant {
        vote(ballot, req, me) @ from <~ ask(from, ballot, req, _);
    }
}
