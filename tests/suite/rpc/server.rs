//! What stands around the services: health, reflection, the server's own answer, and calls to what is not there.

use tokio_stream::StreamExt;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::*;

const SERVICES: [&str; 8] = ["Account", "Binding", "Calculation", "Ledger", "Member", "Region", "Server", "Settlement"];

#[test]
fn every_service_is_healthy() {
    let server = Setup::memory().start();
    let services = SERVICES.map(|name| format!("gongji.v1.{name}Service"));
    for service in services.into_iter().chain([String::new()]) {
        let mut client = HealthClient::new(server.channel());
        let answer = server.wait(client.check(HealthCheckRequest { service: service.clone() })).expect("answered");
        assert_eq!(answer.into_inner().status, 1, "{service:?}");
    }
    let mut client = HealthClient::new(server.channel());
    let unknown = server.wait(client.check(HealthCheckRequest { service: "other".to_owned() }));
    assert_eq!(unknown.expect_err("unknown").code(), Code::NotFound);
}

macro_rules! reflected {
    ($server:expr, $version:ident) => {{
        use tonic_reflection::pb::$version::ServerReflectionRequest;
        use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
        use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
        use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
        let ask = MessageRequest::ListServices(String::new());
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(ask) };
        let mut client = ServerReflectionClient::new($server.channel());
        let answer = $server.wait(async {
            let answers = client.server_reflection_info(tokio_stream::iter([request])).await.expect("answered");
            answers.into_inner().next().await.expect("one answer").expect("answered").message_response
        });
        match answer {
            Some(MessageResponse::ListServicesResponse(list)) => {
                list.service.into_iter().map(|service| service.name).collect::<Vec<String>>()
            }
            other => panic!("{other:?}"),
        }
    }};
}

#[test]
fn reflection_lists_every_service_in_both_versions() {
    let server = Setup::memory().start();
    for listed in [reflected!(server, v1), reflected!(server, v1alpha)] {
        for name in SERVICES {
            assert!(listed.contains(&format!("gongji.v1.{name}Service")), "{name} in {listed:?}");
        }
    }
}

#[test]
fn the_server_tells_what_it_is() {
    for_each_store(|setup| {
        let mut server = setup.start();
        let told = server.get_server_info(proto::GetServerInfoRequest {}).expect("told");
        assert_eq!((told.version.as_str(), told.api_package.as_str()), (env!("CARGO_PKG_VERSION"), "gongji.v1"));
        assert!(["memory", "embedded", "postgres"].contains(&told.store_kind.as_str()) && told.clock_fixed);
        assert_eq!(told.policy_digest.len(), 64);
        assert_eq!(told.server_time.map(|time| time.seconds), Some(1_740_965_400), "{MORNING}");
        for limit in &told.limits {
            // The tests' servers do no work by themselves.
            let told = limit.value > 0 || ["close_year_per_second", "hold_sweep_ms"].contains(&limit.name.as_str());
            assert!(told && !limit.unit.is_empty() && !limit.comment.is_empty(), "{limit:?}");
        }
        assert_eq!(told.data_set_id.len(), 32);
        server.restart();
        let again = server.get_server_info(proto::GetServerInfoRequest {}).expect("told").data_set_id;
        assert_eq!(again, told.data_set_id, "{}", told.store_kind);
    });
}

#[test]
fn a_method_that_is_not_there_is_told_in_the_same_words() {
    use tonic::client::Grpc;
    use tonic::codegen::http::uri::PathAndQuery;
    let server = Setup::memory().start();
    let refused = server.wait(async {
        let mut client = Grpc::new(server.channel());
        client.ready().await.expect("connected");
        let codec = tonic_prost::ProstCodec::<proto::GetHeadRequest, proto::GetHeadResponse>::default();
        let path = PathAndQuery::from_static("/gongji.v1.SettlementService/ForgetSettlement");
        client.unary(tonic::Request::new(proto::GetHeadRequest::default()), path, codec).await
    });
    assert_eq!(words(&refused.expect_err("not there")), "Unimplemented NOT_IMPLEMENTED");
    // Bytes that are no such message.
    let refused = server.wait(async {
        let mut client = Grpc::new(server.channel());
        client.ready().await.expect("connected");
        let codec = tonic_prost::ProstCodec::<proto::GetMemberRequest, proto::GetMemberResponse>::default();
        let path = PathAndQuery::from_static("/gongji.v1.LedgerService/GetHead");
        let request =
            proto::GetMemberRequest { member_id: "a text where a number belongs".to_owned(), ..Default::default() };
        client.unary(tonic::Request::new(request), path, codec).await
    });
    assert_eq!(words(&refused.expect_err("malformed")), "InvalidArgument MALFORMED_MESSAGE");
}
