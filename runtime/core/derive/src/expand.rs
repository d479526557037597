//! From the type's definition to its `impl Data`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, Index, Path, Result, Type};

/// The whole impl. All mistakes are reported together.
pub fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let krate = runtime(input)?;
    refuse(input)?;
    let name = &input.ident;
    let label = name.to_string();
    let parts = match &input.data {
        Data::Struct(data) => structure(&label, &data.fields),
        Data::Enum(data) => enumeration(&label, data),
        Data::Union(_) => unreachable!("refused above"),
    };
    let Parts { encode, decode, schema, to_value, from_value, stable_hash } = parts;
    let mut generics = input.generics.clone();
    for param in generics.type_params_mut() {
        param.bounds.push(syn::parse_quote!(#krate::data::Data));
    }
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    Ok(quote! {
        const _: () = {
            use #krate::data::{Data as __Data, Schema as __Schema, StableHasher as __StableHasher};
            use #krate::value::Value as __Value;
            use #krate::wire::{Reader as __Reader, WireError as __WireError};
            use ::core::option::Option::{self as __Option, None as __None, Some as __Some};
            use ::core::result::Result::{self as __Result, Err as __Err, Ok as __Ok};

            #[automatically_derived]
            impl #impl_generics __Data for #name #ty_generics #where_clause {
                #[inline]
                fn encode(&self, __out: &mut ::std::vec::Vec<u8>) { #encode }
                #[inline]
                fn decode(__input: &mut __Reader<'_>) -> __Result<Self, __WireError> { #decode }
                fn schema() -> __Schema { #schema }
                fn to_value(&self) -> __Value { #to_value }
                fn from_value(__value: &__Value) -> __Option<Self> { #from_value }
                fn stable_hash(&self, __hasher: &mut __StableHasher) { #stable_hash }
            }
        };
    })
}

/// The bodies of the methods.
struct Parts {
    encode: TokenStream,
    decode: TokenStream,
    schema: TokenStream,
    to_value: TokenStream,
    from_value: TokenStream,
    stable_hash: TokenStream,
}

/// `#[data(crate = path)]`, or the façade.
fn runtime(input: &DeriveInput) -> Result<Path> {
    let mut path = syn::parse_quote!(::anabranch::core);
    for attribute in input.attrs.iter().filter(|a| a.path().is_ident("data")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("`Data` knows only `#[data(crate = path)]`"));
            }
            path = meta.value()?.call(Path::parse_mod_style)?;
            Ok(())
        })?;
    }
    Ok(path)
}

/// Types that cannot be `Data`, each with what to do instead.
fn refuse(input: &DeriveInput) -> Result<()> {
    let mut errors: Option<Error> = None;
    let mut error = |span: Span, message: String| {
        let next = Error::new(span, message);
        match &mut errors {
            Some(errors) => errors.combine(next),
            None => errors = Some(next),
        }
    };
    if let Some(lifetime) = input.generics.lifetimes().next() {
        error(
            lifetime.span(),
            "`Data` must own its parts: a column outlives the message that it came in".into(),
        );
    }
    let mut last = -1i128;
    let fields: Vec<&Fields> = match &input.data {
        Data::Struct(data) => vec![&data.fields],
        Data::Enum(data) => {
            if data.variants.is_empty() {
                error(input.ident.span(), "an enum without variants has no values to send".into());
            }
            for variant in &data.variants {
                last = match &variant.discriminant {
                    None => last.saturating_add(1),
                    Some((_, value)) => match literal(value) {
                        Some(n) if n > last => n,
                        _ => {
                            error(
                                value.span(),
                                "discriminants of `Data` must be literals that grow from variant to variant: \
                                 order and encoding go by position"
                                    .into(),
                            );
                            last
                        }
                    },
                };
            }
            data.variants.iter().map(|variant| &variant.fields).collect()
        }
        Data::Union(data) => {
            let message = "a union cannot be `Data`: nothing tells which field holds; use an enum";
            error(data.union_token.span(), message.into());
            vec![]
        }
    };
    for field in fields.into_iter().flatten() {
        visit(&field.ty, &mut |path| {
            let Some(last) = path.segments.last() else { return };
            if last.ident == "f32" || last.ident == "f64" {
                let message = format!(
                    "`{}` cannot be `Data`: it has no total order (NaN), so that sets and `choose` would depend \
                     on luck; use an integer in a fixed unit",
                    last.ident
                );
                error(last.span(), message);
            } else if last.ident == "usize" || last.ident == "isize" {
                let message = format!(
                    "`{}` cannot be `Data`: its width depends on the machine; use `{}64`",
                    last.ident,
                    if last.ident == "usize" { 'u' } else { 'i' }
                );
                error(last.span(), message);
            } else if path.is_ident(&input.ident) || path.is_ident("Self") {
                let message = "a recursive type cannot be `Data`: the depth of decoding would be the sender's \
                               choice; keep the parts in a table, or in a `Vec` with indices";
                error(last.span(), message.into());
            }
        });
    }
    errors.map_or(Ok(()), Err)
}

fn literal(expr: &syn::Expr) -> Option<i128> {
    match expr {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(n), .. }) => n.base10_parse().ok(),
        _ => None,
    }
}

/// Calls back for every path within a type, also within type arguments.
fn visit(ty: &Type, found: &mut impl FnMut(&Path)) {
    match ty {
        Type::Path(path) => {
            found(&path.path);
            for segment in &path.path.segments {
                if let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments {
                    for argument in &arguments.args {
                        if let syn::GenericArgument::Type(ty) = argument {
                            visit(ty, found);
                        }
                    }
                }
            }
        }
        Type::Tuple(tuple) => tuple.elems.iter().for_each(|ty| visit(ty, found)),
        Type::Array(array) => visit(&array.elem, found),
        Type::Paren(inner) => visit(&inner.elem, found),
        Type::Group(inner) => visit(&inner.elem, found),
        _ => {}
    }
}

/// Fields with their place in the type, a variable each, and how to build the whole from those.
struct Shape<'a> {
    types: Vec<&'a Type>,
    vars: Vec<Ident>,
    names: Vec<String>,
    build: TokenStream,
}

fn shape<'a>(path: TokenStream, fields: &'a Fields) -> Shape<'a> {
    let types: Vec<&Type> = fields.iter().map(|field| &field.ty).collect();
    let vars: Vec<Ident> =
        (0..types.len()).map(|i| format_ident!("__f{i}", span = Span::mixed_site())).collect();
    let names = fields.iter().enumerate().map(|(i, field)| match &field.ident {
        Some(ident) => ident.to_string().trim_start_matches("r#").to_owned(),
        None => i.to_string(),
    });
    let names: Vec<String> = names.collect();
    let build = match fields {
        Fields::Named(named) => {
            let idents = named.named.iter().map(|field| &field.ident);
            quote!(#path { #(#idents: #vars),* })
        }
        Fields::Unnamed(_) => {
            let indices = (0..types.len()).map(Index::from);
            quote!(#path { #(#indices: #vars),* })
        }
        Fields::Unit => quote!(#path),
    };
    Shape { types, vars, names, build }
}

/// A call of a method of the field's type, with the field's span, so that `T: Data` is missed there.
fn call(ty: &Type, method: &str) -> TokenStream {
    let method = Ident::new(method, Span::call_site());
    quote_spanned!(ty.span()=> <#ty as __Data>::#method)
}

fn calls(shape: &Shape<'_>, method: &str) -> Vec<TokenStream> {
    shape.types.iter().map(|ty| call(ty, method)).collect()
}

fn structure(label: &str, fields: &Fields) -> Parts {
    let shape = shape(quote!(Self), fields);
    let Shape { vars, names, build, .. } = &shape;
    let (encode, decode, schema) =
        (calls(&shape, "encode"), calls(&shape, "decode"), calls(&shape, "schema"));
    let (to_value, from_value) = (calls(&shape, "to_value"), calls(&shape, "from_value"));
    let stable_hash = calls(&shape, "stable_hash");
    let len = vars.len();
    let places = 0..len;
    // One without fields takes a byte: lists are bounded by the length of their input.
    let (empty_encode, empty_decode) = if len == 0 {
        (quote!(<() as __Data>::encode(&(), __out);), quote!(<() as __Data>::decode(__input)?;))
    } else {
        (quote!(), quote!())
    };
    Parts {
        encode: quote!(let #build = self; #empty_encode #(#encode(#vars, __out);)*),
        decode: quote!(#empty_decode #(let #vars = #decode(__input)?;)* __Ok(#build)),
        schema: quote! {
            __Schema::Struct(#label.into(), ::std::vec![#((#names.into(), #schema())),*])
        },
        to_value: quote!(let #build = self; __Value::Tuple([#(#to_value(#vars)),*].into())),
        from_value: quote! {
            match __value {
                __Value::Tuple(__items) if __items.len() == #len => {
                    #(let #vars = #from_value(&__items[#places])?;)*
                    __Some(#build)
                }
                _ => __None,
            }
        },
        stable_hash: quote!(let #build = self; #(#stable_hash(#vars, __hasher);)*),
    }
}

fn enumeration(label: &str, data: &syn::DataEnum) -> Parts {
    let (mut encode, mut decode, mut schema) = (vec![], vec![], vec![]);
    let (mut to_value, mut from_value, mut stable_hash) = (vec![], vec![], vec![]);
    for (index, variant) in data.variants.iter().enumerate() {
        let name = &variant.ident;
        let label = name.to_string();
        let label = label.trim_start_matches("r#");
        let shape = shape(quote!(Self::#name), &variant.fields);
        let (number, index) = (index as u64, index as u32);
        let Shape { vars, names, build, .. } = &shape;
        let len = vars.len();
        let places = 0..len;
        let each = calls(&shape, "encode");
        encode.push(quote! {
            #build => {
                <u64 as __Data>::encode(&#number, __out);
                #(#each(#vars, __out);)*
            }
        });
        let each = calls(&shape, "decode");
        decode.push(quote!(#number => { #(let #vars = #each(__input)?;)* __Ok(#build) }));
        let each = calls(&shape, "schema");
        schema.push(quote!((#label.into(), ::std::vec![#((#names.into(), #each())),*])));
        let each = calls(&shape, "to_value");
        to_value.push(quote! {
            #build => __Value::Variant(#index, #label.into(), [#(#each(#vars)),*].into())
        });
        let each = calls(&shape, "from_value");
        from_value.push(quote! {
            __Value::Variant(#index, _, __items) if __items.len() == #len => {
                #(let #vars = #each(&__items[#places])?;)*
                __Some(#build)
            }
        });
        let each = calls(&shape, "stable_hash");
        stable_hash.push(quote!(#build => { __hasher.word(#number); #(#each(#vars, __hasher);)* }));
    }
    Parts {
        encode: quote!(match self { #(#encode)* }),
        decode: quote!(match __input.varint()? { #(#decode)* _ => __Err(__WireError::Invalid(#label)) }),
        schema: quote!(__Schema::Enum(#label.into(), ::std::vec![#(#schema),*])),
        to_value: quote!(match self { #(#to_value),* }),
        from_value: quote!(match __value { #(#from_value)* _ => __None }),
        stable_hash: quote!(match self { #(#stable_hash)* }),
    }
}

#[cfg(test)]
mod tests {
    use super::expand;

    /// The messages of the errors, one per line.
    #[track_caller]
    fn errors(item: &str, expected: &[&str]) {
        let input = syn::parse_str(item).expect("the test's type parses");
        let found = match expand(&input) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.into_iter().map(|error| error.to_string()).collect::<Vec<_>>(),
        };
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "`{found}` does not say `{expected}`");
        }
    }

    #[test]
    fn sound_types_pass() {
        errors("struct A { x: u64, y: Vec<(String, Option<B>)> }", &[]);
        errors("enum A { X, Y(u8), Z { a: [u8; 4] } }", &[]);
        errors("enum A { X = 1, Y, Z = 10 }", &[]);
        errors("struct A<T>(T);", &[]);
    }

    #[test]
    fn what_cannot_be_data_says_why() {
        errors("union U { a: u32, b: f32 }", &["a union cannot be `Data`"]);
        errors("enum Never {}", &["an enum without variants"]);
        errors("struct A { x: f64 }", &["`f64` cannot be `Data`: it has no total order"]);
        errors("struct A { x: usize }", &["its width depends on the machine; use `u64`"]);
        errors("enum A { X(isize) }", &["use `i64`"]);
        errors("struct A<'a>(&'a str);", &["`Data` must own its parts"]);
        errors("enum Tree { Leaf, Node(Vec<Tree>) }", &["a recursive type cannot be `Data`"]);
        errors("enum A { X = 3, Y = 1 }", &["discriminants of `Data` must be literals that grow"]);
        errors("#[data(krate = x)] struct A;", &["`Data` knows only `#[data(crate = path)]`"]);
    }

    #[test]
    fn several_mistakes_are_reported_together() {
        errors("struct A { x: f32, y: Vec<Option<f64>>, z: (usize, u8) }", &["`f32`", "`f64`", "`usize`"]);
    }
}
