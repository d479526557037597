//! The typed client: one async method per request over the runtime's client.

use super::context::ident;
use crate::ir::{Protocol, RelId, RelationKind};
use proc_macro2::TokenStream;
use quote::quote;

/// `Client` with its methods.
pub fn client(protocol: &Protocol) -> TokenStream {
    let methods = protocol.relations.iter().enumerate().filter_map(|(i, r)| {
        let RelationKind::Request(request) = &r.kind else { return None };
        let tag = super::descriptor::request_tag(protocol, RelId(i as u32));
        let name = ident(&r.name);
        let docs = &r.docs;
        let doc = format!("`{}` of the protocol.", r.name);
        let args: Vec<_> = r.columns[1..].iter().map(|c| ident(&c.name)).collect();
        let types: Vec<_> = r.columns[1..].iter().map(|c| &c.ty.0).collect();
        let replies: Vec<_> = request.reply.iter().map(|c| &c.ty.0).collect();
        let (answer, decode) = match &replies[..] {
            [] => (quote!(()), quote!(())),
            [one] => (quote!(#one), quote!(<#one as __core::data::Data>::decode(__input)?)),
            many => (quote!((#(#many),*)), quote!((#(<#many as __core::data::Data>::decode(__input)?),*))),
        };
        let error = request.error.as_ref().map_or_else(|| quote!(()), |t| t.0.clone());
        let route = match request.by {
            Some(column) => {
                let by = &args[column - 1];
                quote!(Some(u64::from(__core::data::Data::route(&#by))))
            }
            None => quote!(None),
        };
        Some(quote! {
            #[doc = #doc]
            #(#[doc = #docs])*
            pub async fn #name(&self, #(#args: #types),*)
                -> ::core::result::Result<#answer, ::anabranch::client::CallError<#error>>
            {
                let mut __out = ::std::vec::Vec::new();
                #(__core::data::Data::encode(&#args, &mut __out);)*
                let __answer = self.0.call_raw(#tag, __core::prelude::Bytes::from(__out), #route).await;
                ::anabranch::typed::answer(__answer, |__input| { let _ = &__input; Ok(#decode) })
            }
        })
    });
    quote! {
        /// A typed client: each request's outcome is an answer, a refusal, or unknown.
        #[derive(Clone)]
        pub struct Client(pub ::anabranch::client::Client);
        impl Client {
            /// Connects to a deployment of the protocol.
            pub async fn connect(__deployment: &::anabranch::deploy::Deployment)
                -> ::core::result::Result<Client, ::anabranch::client::ConnectError>
            {
                ::anabranch::client::Client::connect(protocol(), __deployment).await.map(Client)
            }
            #(#methods)*
        }
    }
}
